//! The whole program in one test: real folders, store, jobs and router, without sockets and without waiting.
//!
//! [`TestApp`] is the program with everything that runs by itself in the hands of the test; [`Children`] reads files
//! for it, writes down what it was asked, and fails when told to; [`Service`] is a service of others; [`show`] turns an answer into text for a snapshot.

mod app;
mod children;
mod postgres;
mod service;
mod show;

pub use app::{Options, TestApp};
pub use belvedere_api::Answer;
pub use children::{Children, Failure};
pub use service::{Question, Said, Service};
pub use show::{show, show_headers};
