//! The first words with a Hub: does it answer, and whom does it take us for?

use serde::Deserialize;

use super::http::{Call, Client, ClientOptions, HttpError};

/// What a Hub says about a caller.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Greeting {
    /// The user whose token it is; `None`: the call carried none.
    pub name: Option<String>,
    /// What the token may do by itself, as `read` or `write`; `None` where that depends on the repository.
    pub role: Option<String>,
}

/// Asks a Hub once who is calling. Without a token any Hub refuses to tell: that is an answer, too.
///
/// # Errors
/// [`HttpError::Status`] with 401 when the Hub does not know the token; others when it is not reached, not called, or answers
/// as no Hub does.
pub async fn greet(options: ClientOptions) -> Result<Greeting, HttpError> {
    #[derive(Deserialize)]
    struct Who {
        name: String,
        #[serde(default)]
        auth: Auth,
    }
    #[derive(Default, Deserialize)]
    struct Auth {
        #[serde(rename = "accessToken")]
        token: Option<Token>,
    }
    #[derive(Deserialize)]
    struct Token {
        role: Option<String>,
    }
    let is_anonymous = options.token.is_none();
    let client = Client::new(options);
    let call = Call::get(client.endpoint().at("/api/whoami-v2"));
    match client.json::<Who>(call, 1).await {
        Ok((_, Who { name, auth })) => {
            let role = auth.token.and_then(|token| token.role).filter(|role| role != "fineGrained");
            Ok(Greeting { name: Some(name), role })
        }
        Err(error) if is_anonymous && matches!(error.status(), Some(401 | 403)) => {
            Ok(Greeting { name: None, role: None })
        }
        Err(error) => Err(error),
    }
}
