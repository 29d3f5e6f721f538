//! Why a callback or a result settles nothing.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Why a callback or a result proves neither that the money moved nor that it did not. Do not pay again: ask Daraja.
///
/// ```
/// use daraja::{B2cOutcome, B2cResult, code::Why};
///
/// let result = B2cResult::parse(br#"{"Result":{"ResultCode":0,"ConversationID":"AG_1","ResultParameters":{"ResultParameter":[
///     {"Key":"TransactionReceipt","Value":"SG632NMUAB"},
///     {"Key":"TransactionAmount","Value":10},{"Key":"TransactionAmount","Value":1000}]}}}"#)?;
/// let B2cOutcome::Unproven(unproven) = result.outcome else { panic!("10 or 1000?") };
/// assert_eq!(unproven.why, Why::Contradicted);
/// assert_eq!(unproven.receipt, Some("SG632NMUAB".parse()?));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Why {
    /// A zero code and no receipt.
    NoReceipt,
    /// What stands in the place of the receipt is no receipt, such as `0` or `null`.
    UnreadableReceipt,
    /// The code is not known to be final.
    UnknownCode,
    /// The result says two things that cannot both be true: two receipts, two amounts, two recipients or two times, or a
    /// receipt beside a code of failure. An amount that cannot be read counts as well: it can be any other; and so do two
    /// codes in the callback of a push. A person has to look at it.
    Contradicted,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoReceipt => "it holds no receipt",
            Self::UnreadableReceipt => "its receipt cannot be read",
            Self::UnknownCode => "its code is not known to be final",
            Self::Contradicted => "it contradicts itself, or its amount cannot be read",
        })
    }
}
