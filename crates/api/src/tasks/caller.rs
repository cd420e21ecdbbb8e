//! Who asks about tasks, and which tasks they reach.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use belvedere_domain::{ErrorCode, Role};

use super::problem::Problem;
use crate::auth::{self, Principal};
use crate::state::ApiState;

/// Somebody who may run tasks.
#[derive(Clone, Debug)]
pub(super) struct Caller {
    /// Their name: the owner of what they submit.
    pub(super) name: String,
    /// They reach the tasks of everybody.
    pub(super) is_admin: bool,
}

impl Caller {
    /// The owner whose tasks alone are reached; `None` for all.
    pub(super) fn scope(&self) -> Option<&str> {
        (!self.is_admin).then_some(&*self.name)
    }
}

impl FromRequestParts<Arc<ApiState>> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &Arc<ApiState>) -> Result<Self, Problem> {
        // The command line on the machine of the server, which can read the token that the server wrote for it.
        if let Some(own) = &state.settings.admin.own_token
            && auth::bearer(&parts.headers).is_some_and(|token| own.fits(token))
        {
            return Ok(Self { name: own.name.clone(), is_admin: true });
        }
        let principal = Principal::of(state, &parts.headers).await?.ok_or_else(auth::missing)?;
        if !principal.may_run_tasks() {
            return Err(Problem::new(ErrorCode::NotPermitted, "This token is not good for tasks."));
        }
        // A token that is good for tasks alone is no more an admin's than what it may.
        let is_admin = principal.is_admin() && principal.user.role == Role::Admin;
        Ok(Self { name: principal.user.name.to_string(), is_admin })
    }
}
