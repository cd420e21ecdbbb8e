//! The sections, one file per concern.

pub(super) mod access;
pub(super) mod general;
pub(super) mod hub;
pub(super) mod scans;
pub(super) mod services;
pub(super) mod steps;
pub(super) mod storage;
pub(super) mod tasks;
pub(super) mod worker;
