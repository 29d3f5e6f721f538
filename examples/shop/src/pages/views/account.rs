//! Signing in, and the pages for what went wrong.

use super::{Field, Place, Shell};
use askama::Template;

/// `GET /login`
#[derive(Debug, Clone, Template)]
#[template(path = "login.html")]
pub(crate) struct LoginPage {
    /// What surrounds the page.
    pub(crate) shell: Shell,
    /// The e-mail address that was typed. A failed log-in puts its error here, whichever of the two was wrong.
    pub(crate) email: Field,
    /// The page to go to afterwards, a path of this site; empty for the usual one.
    pub(crate) next: String,
    /// Who can be tried in the demo; empty elsewhere.
    pub(crate) demo_users: Vec<DemoUser>,
}

impl LoginPage {
    const HERE: Place = Place::Elsewhere;
}

/// Somebody who can be tried in the demo.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DemoUser {
    /// What the person does: "Customer", "Admin".
    pub(crate) role: String,
    /// The e-mail address to type.
    pub(crate) email: String,
}

/// A page in place of the one that was asked for.
#[derive(Debug, Clone, Template)]
#[template(path = "error.html")]
pub(crate) struct ErrorPage {
    /// What surrounds the page.
    pub(crate) shell: Shell,
    /// What went wrong.
    pub(crate) trouble: Trouble,
}

impl ErrorPage {
    const HERE: Place = Place::Elsewhere;
}

/// What went wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// 404: there is no such page, or it is somebody else's.
    NotFound,
    /// 403: the person may not, or the form is too old.
    Forbidden,
    /// 429: too many requests.
    TooMany {
        /// After how many seconds to try again.
        seconds: i64,
    },
    /// 500: our fault.
    Server {
        /// A word by which the log can be searched.
        reference: String,
    },
}

impl Trouble {
    /// The HTTP status.
    pub(crate) fn status(&self) -> u16 {
        match self {
            Self::NotFound => 404,
            Self::Forbidden => 403,
            Self::TooMany { .. } => 429,
            Self::Server { .. } => 500,
        }
    }

    /// The heading.
    pub(crate) fn heading(&self) -> &'static str {
        match self {
            Self::NotFound => "There is no such page",
            Self::Forbidden => "You cannot do this",
            Self::TooMany { .. } => "A little too fast",
            Self::Server { .. } => "Something broke on our side",
        }
    }
}
