//! The envelope that every result comes in: `{"Result":{..}}`, read in one pass, by name.

use std::borrow::Cow;

use serde::de::MapAccess;

use super::ResultKind;
use crate::{
    ConversationId, Kes, OriginatorConversationId, Party, ResultCode, Timestamp,
    error::DecodeError,
    wire::{Fields, Next, Once, Quote, Scalar, Told, plain, read_posted},
};

/// What a result held, before anything is concluded from it.
#[derive(Clone, Default, PartialEq)]
pub(crate) struct Envelope<'a> {
    code: Once<ResultCode>,
    description: Option<Cow<'a, str>>,
    originator_conversation_id: Once<Cow<'a, str>>,
    conversation_id: Once<Cow<'a, str>>,
    transaction_id: Once<Cow<'a, str>>,
    parameters: Vec<(Cow<'a, str>, Scalar<'a>)>,
}

/// The ids that a result goes by.
pub(crate) type Ids = (Option<OriginatorConversationId>, Option<ConversationId>);

impl<'a> Envelope<'a> {
    /// Reads a result's body. No error quotes it: results hold names.
    pub(crate) fn parse<T>(
        body: &'a [u8],
        conclude: impl FnOnce(&Self, ResultCode, Ids) -> T,
    ) -> Result<T, DecodeError> {
        read_posted(body, Quote::Nothing, |mut read: Self| {
            let code = std::mem::take(&mut read.code);
            let code = code.required("holds no ResultCode", "holds two different ResultCodes")?;
            let ids = read.ids()?;
            Ok(conclude(&read, code, ids))
        })
    }

    /// A copy that borrows nothing from the body.
    pub(crate) fn to_owned(&self) -> Envelope<'static> {
        Envelope {
            code: Once::Absent,
            description: self.description.as_deref().map(|text| Cow::Owned(text.to_owned())),
            originator_conversation_id: Once::Absent,
            conversation_id: Once::Absent,
            transaction_id: self.transaction_id.clone().map(|id| Cow::Owned(id.into_owned())),
            parameters: self
                .parameters
                .iter()
                .map(|(name, value)| (name.to_string().into(), value.to_owned()))
                .collect(),
        }
    }

    fn ids(&mut self) -> Result<Ids, &'static str> {
        let originator = std::mem::take(&mut self.originator_conversation_id);
        let conversation = std::mem::take(&mut self.conversation_id);
        if matches!(originator, Once::Contradicted) || matches!(conversation, Once::Contradicted) {
            return Err("names two different requests");
        }
        Ok((originator.given().and_then(|id| id.parse().ok()), conversation.given().and_then(|id| id.parse().ok())))
    }

    /// Daraja's words.
    pub(crate) fn description(&self) -> &str {
        self.description.as_deref().unwrap_or_default()
    }

    /// The id of the transaction that the result is itself about: a failed request carries one as well.
    pub(crate) fn transaction_id(&self) -> Told {
        Told::of(self.transaction_id.clone())
    }

    /// The names of everything that is given.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.parameters.iter().map(|(name, _)| &**name)
    }

    /// Whether it holds a parameter that only such results have.
    pub(crate) fn is_of(&self, kind: ResultKind) -> bool {
        self.names().any(|name| ResultKind::told_by(name) == Some(kind))
    }

    /// Everything that is given under a name.
    fn all(&self, name: &'static str) -> impl Iterator<Item = &Scalar<'a>> {
        self.parameters.iter().filter(move |(given, _)| given == name).map(|(_, value)| value)
    }

    /// Everything under a name that has a text, not empty.
    fn texts(&self, name: &'static str) -> impl Iterator<Item = Cow<'_, str>> {
        self.all(name).filter_map(Scalar::to_whole_text).filter(|text| !text.trim().is_empty())
    }

    /// A text, not empty, unless it is contradicted.
    pub(crate) fn text(&self, name: &'static str) -> Option<Cow<'_, str>> {
        let mut told = Once::Absent;
        self.texts(name).for_each(|text| told.add(text));
        told.given()
    }

    /// What a text says that is not empty.
    pub(crate) fn once<T: PartialEq>(&self, name: &'static str, read: impl Fn(&str) -> T) -> Once<T> {
        let mut told = Once::Absent;
        self.texts(name).for_each(|text| told.add(read(text.trim())));
        told
    }

    pub(crate) fn party(&self, name: &'static str) -> Once<Party> {
        let mut party = Once::Absent;
        self.texts(name).for_each(|text| party.add(Party::new(text)));
        party
    }

    /// A time, in either of the two ways that results write it. One that cannot be read is none.
    pub(crate) fn timestamp(&self, name: &'static str) -> Once<Option<Timestamp>> {
        self.once(name, |text| Timestamp::from_dotted(plain(text)))
    }

    /// An amount. One that cannot be read is contradicted: it is not known to be the right one.
    pub(crate) fn kes(&self, name: &'static str) -> Once<Kes> {
        let mut amount = Once::Absent;
        let is_empty = |value: &Scalar<'_>| matches!(value, Scalar::Text(text) if text.trim().is_empty());
        self.all(name).filter(|value| !is_empty(value)).for_each(|value| amount.add_read(value.to_kes()));
        amount
    }

    pub(crate) fn receipt(&self, name: &'static str) -> Told {
        let mut receipt = Once::Absent;
        self.texts(name).for_each(|text| receipt.add(text));
        Told::of(receipt)
    }
}

/// The whole document, or the inner part alone: both levels are read alike, as the keys do not overlap.
impl<'a> Fields<'a> for Envelope<'a> {
    fn field<A: MapAccess<'a>>(&mut self, key: &str, value: Next<'_, A>) -> Result<(), A::Error> {
        match key {
            "Body" | "Result" => value.object(self),
            "ResultCode" => value.read().map(|code| self.code.add(code)),
            "ResultDesc" => value.text().map(|words| self.description = words),
            "TransactionID" => value.add_text_to(&mut self.transaction_id),
            "OriginatorConversationID" | "OriginatorCoversationID" => {
                value.add_text_to(&mut self.originator_conversation_id)
            }
            "ConversationID" => value.add_text_to(&mut self.conversation_id),
            "ResultParameters" => value.named(&mut |name, value| self.parameters.push((name, value))),
            _ => value.skip(),
        }
    }
}
