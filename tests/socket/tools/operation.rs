//! An operation of a user's own, in each of the three kinds.

use daraja::{Answer, Operation, Repeat, Result, Timestamp};

/// Posts `{"OriginatorConversationID":"ours"}`, and takes any success.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Own(pub(crate) Repeat);

impl Operation for Own {
    type Response = String;

    fn path(&self) -> &'static str {
        "/own/v1/operation"
    }

    fn repeat(&self) -> Repeat {
        self.0
    }

    fn body(&self, _: Timestamp) -> impl serde::Serialize + Send {
        serde_json::json!({ "OriginatorConversationID": "ours" })
    }

    fn decode(&self, answer: &Answer) -> Result<String> {
        Ok(answer.text().to_owned())
    }
}
