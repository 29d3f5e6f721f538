//! What can go wrong on the line, on purpose.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use crate::b2c;

/// Which call a fault hits, and which calls are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Route {
    /// `/oauth/v1/generate`
    OAuth,
    /// `/mpesa/stkpush/v1/processrequest`
    StkPush,
    /// `/mpesa/stkpushquery/v1/query`
    StkQuery,
    /// `/mpesa/b2c/v3/paymentrequest`, its version 1, the one with ID check, and B2Pochi.
    B2c,
    /// `/mpesa/transactionstatus/v1/query`
    TransactionStatus,
    /// `/mpesa/accountbalance/v1/query`
    AccountBalance,
    /// `/mpesa/reversal/v1/request`
    Reversal,
    /// Anything else.
    Other,
}

impl Route {
    pub(super) fn of(path: &str) -> Self {
        match path {
            "/oauth/v1/generate" => Self::OAuth,
            crate::stk::PUSH_PATH => Self::StkPush,
            crate::stk::QUERY_PATH => Self::StkQuery,
            b2c::V3_PATH | b2c::V1_PATH | b2c::CHECKED_PATH | b2c::POCHI_PATH => Self::B2c,
            crate::transaction_status::STATUS_PATH => Self::TransactionStatus,
            crate::account_balance::BALANCE_PATH => Self::AccountBalance,
            crate::reversal::REVERSAL_PATH => Self::Reversal,
            _ => Self::Other,
        }
    }
}

/// One thing that goes wrong, once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// The connection is reset before the request is read: nothing is carried out.
    ResetBefore,
    /// The request is carried out, then the connection is reset without an answer.
    ResetAfter,
    /// The request is carried out, the answer comes after this long.
    Slow(Duration),
    /// The request is carried out, the answer is cut in its middle.
    Truncated,
    /// The firewall answers 403 with HTML; nothing is carried out.
    Html,
    /// 500 with an empty body; nothing is carried out.
    Empty,
    /// 200 with an error code and no words; nothing is carried out.
    ErrorInOk,
    /// The request is carried out, but the answer is 500 "Internal Server Error".
    AcceptedButError,
    /// 500 "System is busy"; the request is carried out all the same.
    Busy,
    /// 429 with the gateway's fault, and this `Retry-After` in seconds; nothing is carried out.
    Throttled(Option<u64>),
    /// The token dies before the request is looked at.
    TokenExpired,
    /// A redirect to nowhere; nothing is carried out.
    Redirect,
    /// The gateway refuses the token with 401 and an empty body; nothing is carried out.
    UnauthorizedEmpty,
    /// The gateway refuses the token with 401 and a text; nothing is carried out.
    UnauthorizedText,
    /// The gateway refuses the token with 401 and its fault `oauth.v2.InvalidAccessToken`; nothing is carried out.
    UnauthorizedFault,
    /// 404 with the gateway's fault of a host and path that it does not know; nothing is carried out.
    NoRoute,
    /// The request is carried out, but the gateway answers 504 with its fault of a timeout.
    GatewayTimeout,
    /// 200 with a page of the developer portal; nothing is carried out.
    Portal,
    /// Any refusal: HTTP status, error code, words; nothing is carried out. An STK query that comes too early, for one, is
    /// answered 400, `400.002.02`, "Bad Request - Invalid CheckoutRequestID".
    Refused(u16, &'static str, &'static str),
}

impl Fault {
    /// Whether the request arrives, but is answered before the desk sees it.
    pub(super) fn keeps_from_desk(self) -> bool {
        matches!(
            self,
            Self::Html
                | Self::Empty
                | Self::ErrorInOk
                | Self::Throttled(_)
                | Self::Redirect
                | Self::UnauthorizedEmpty
                | Self::UnauthorizedText
                | Self::UnauthorizedFault
                | Self::NoRoute
                | Self::Portal
                | Self::Refused(..)
        )
    }
}

/// The faults to come, by route, in order.
#[derive(Debug, Default)]
pub(super) struct Faults(HashMap<Route, VecDeque<Fault>>);

impl Faults {
    pub(super) fn push(&mut self, route: Route, fault: Fault) {
        self.0.entry(route).or_default().push_back(fault);
    }

    pub(super) fn pop(&mut self, route: Route) -> Option<Fault> {
        self.0.get_mut(&route)?.pop_front()
    }
}
