//! What an admin sees of the money that leaves: payouts, and the suppliers who receive them.

use super::{Field, Kes, Place, Shell, Tone};
use askama::Template;

/// `GET /admin/payouts`
#[derive(Debug, Clone, Template)]
#[template(path = "payouts.html")]
pub(crate) struct PayoutsPage {
    /// What surrounds the page.
    pub(crate) shell: Shell,
    /// Only payouts in this state; all of them if none.
    pub(crate) filter: Option<PayoutState>,
    /// The page, from 1.
    pub(crate) page: i64,
    /// How many pages there are, at least 1.
    pub(crate) pages: i64,
    /// How many payouts a page holds.
    pub(crate) per_page: i64,
    /// How many payouts there are on all pages.
    pub(crate) total: i64,
    /// What `GET /admin/payouts/state` answers while nothing changes.
    pub(crate) version: String,
    /// The payouts of this page, latest first.
    pub(crate) payouts: Vec<PayoutRow>,
}

impl PayoutsPage {
    const HERE: Place = Place::Payouts;

    /// The filter's links: where each leads, what it is called, and whether it is the one in force.
    pub(crate) fn filters(&self) -> Vec<(String, &'static str, bool)> {
        let states = PayoutState::ALL.map(|state| (Some(state), state.label()));
        let all = [(None, "All")].into_iter().chain(states);
        all.map(|(filter, label)| (self.link(filter, 1), label, filter == self.filter)).collect()
    }

    /// Whether the page should look for news: a payout is under way.
    pub(crate) fn waits(&self) -> bool {
        self.payouts.iter().any(|payout| payout.state == PayoutState::Pending)
    }

    /// Where the page before this one is.
    pub(crate) fn earlier(&self) -> Option<String> {
        self.page.checked_sub(1).filter(|page| *page >= 1).map(|page| self.link(self.filter, page))
    }

    /// Where the page after this one is.
    pub(crate) fn later(&self) -> Option<String> {
        self.page.checked_add(1).filter(|page| *page <= self.pages).map(|page| self.link(self.filter, page))
    }

    fn link(&self, filter: Option<PayoutState>, page: i64) -> String {
        let status = filter.map_or("all", PayoutState::word);
        format!("/admin/payouts?status={status}&page={page}&per_page={}", self.per_page)
    }
}

/// One payout in the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PayoutRow {
    /// The id in `/admin/payouts/{id}/…`.
    pub(crate) id: String,
    /// When it was asked for, in local time.
    pub(crate) when: String,
    /// The supplier's name.
    pub(crate) supplier: String,
    /// The supplier's number, masked.
    pub(crate) masked: String,
    /// How much.
    pub(crate) amount: Kes,
    /// Where it stands.
    pub(crate) state: PayoutState,
    /// Why it failed, or why it waits.
    pub(crate) reason: Option<String>,
    /// M-PESA's receipt number, once it is known.
    pub(crate) receipt: Option<String>,
    /// The admin who asked for it.
    pub(crate) by: String,
    /// The admin who approved it, if it needed that.
    pub(crate) approved_by: Option<String>,
    /// Whether M-PESA told what cannot be true together, or not with what an admin entered.
    pub(crate) contradictory: bool,
    /// What whoever approves it has to compare, while it waits for that.
    pub(crate) to_compare: Option<ToCompare>,
    /// What this admin can do about it.
    pub(crate) action: PayoutAction,
}

/// The number that an approval is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ToCompare {
    /// The whole number that the money goes to.
    pub(crate) number: String,
    /// When it was changed, in local time.
    pub(crate) when: String,
    /// The admin who changed it.
    pub(crate) by: String,
}

/// What an admin can do about a payout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum PayoutAction {
    /// Nothing.
    Nothing,
    /// Approve it.
    Approve,
    /// It is this admin's own, and another must approve it.
    AnotherMustApprove,
    /// Its outcome is unknown for long: enter it by hand.
    EnterOutcome,
}

/// Where a payout stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum PayoutState {
    /// A second admin must approve it; no money has moved.
    AwaitingApproval,
    /// Sent; what became of it is not known yet.
    Pending,
    /// The supplier has the money.
    Completed,
    /// For certain no money moved.
    Failed,
}

impl PayoutState {
    /// All of them, in the filter's order.
    pub(crate) const ALL: [Self; 4] = [Self::AwaitingApproval, Self::Pending, Self::Completed, Self::Failed];

    /// The word in `?status=`.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::AwaitingApproval => "awaiting_approval",
            Self::Pending => "pending",
            Self::Completed => "completed",
            Self::Failed => "failed",
        }
    }

    /// What people read.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::AwaitingApproval => "Awaiting approval",
            Self::Pending => "Pending",
            Self::Completed => "Completed",
            Self::Failed => "Failed",
        }
    }

    /// How it looks.
    pub(crate) fn tone(self) -> Tone {
        match self {
            Self::AwaitingApproval => Tone::Care,
            Self::Pending => Tone::Calm,
            Self::Completed => Tone::Good,
            Self::Failed => Tone::Bad,
        }
    }
}

/// `GET /admin/payouts/new`
#[derive(Debug, Clone, Template)]
#[template(path = "payout_new.html")]
pub(crate) struct NewPayoutPage {
    /// What surrounds the page.
    pub(crate) shell: Shell,
    /// Who can be paid.
    pub(crate) suppliers: Vec<SupplierChoice>,
    /// The chosen supplier's id.
    pub(crate) supplier: Field,
    /// The amount that was typed.
    pub(crate) amount: Field,
    /// The notes that were typed. They stay in the shop's records.
    pub(crate) notes: Field,
}

impl NewPayoutPage {
    const HERE: Place = Place::Payouts;
}

/// A supplier who can be chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SupplierChoice {
    /// The supplier's id.
    pub(crate) id: String,
    /// The supplier's name.
    pub(crate) name: String,
    /// The supplier's number, masked.
    pub(crate) masked: String,
}

/// `POST /admin/payouts/confirm`
#[derive(Debug, Clone, Template)]
#[template(path = "payout_confirm.html")]
pub(crate) struct ConfirmPayoutPage {
    /// What surrounds the page.
    pub(crate) shell: Shell,
    /// The supplier's id.
    pub(crate) supplier_id: String,
    /// The supplier's name.
    pub(crate) supplier: String,
    /// The whole number that the money goes to, to be read and compared.
    pub(crate) number: String,
    /// How much.
    pub(crate) amount: Kes,
    /// The notes, which stay in the shop's records.
    pub(crate) notes: String,
    /// When and by whom the number was last changed, if it ever was.
    pub(crate) changed: Option<NumberChange>,
    /// Whether the supplier was paid the same amount in the last minutes: it may be the same payout.
    pub(crate) is_second: bool,
    /// Sent back with the form, so that a form sent twice pays once.
    pub(crate) idempotency_key: String,
}

impl ConfirmPayoutPage {
    const HERE: Place = Place::Payouts;

    /// Whether the number is so new that a second admin must approve.
    pub(crate) fn needs_second_admin(&self) -> bool {
        self.changed.as_ref().is_some_and(|changed| changed.recent)
    }
}

/// A change of a supplier's number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NumberChange {
    /// When, in local time.
    pub(crate) when: String,
    /// By which admin.
    pub(crate) by: String,
    /// The reason that was given.
    pub(crate) reason: String,
    /// Whether it was within the last 24 hours: a payout then needs a second admin.
    pub(crate) recent: bool,
}

/// `GET /admin/payouts/{id}/outcome`: what became of a payout that M-PESA does not tell about.
#[derive(Debug, Clone, Template)]
#[template(path = "payout_outcome.html")]
pub(crate) struct PayoutOutcomePage {
    /// What surrounds the page.
    pub(crate) shell: Shell,
    /// The payout.
    pub(crate) payout: PayoutRow,
    /// `completed`, `failed` or nothing yet.
    pub(crate) outcome: Field,
    /// The receipt number that was typed; it is needed with `completed`.
    pub(crate) receipt: Field,
    /// Where the admin saw it.
    pub(crate) reason: Field,
}

impl PayoutOutcomePage {
    const HERE: Place = Place::Payouts;
}

/// `GET /admin/suppliers`
#[derive(Debug, Clone, Template)]
#[template(path = "suppliers.html")]
pub(crate) struct SuppliersPage {
    /// What surrounds the page.
    pub(crate) shell: Shell,
    /// The suppliers by name.
    pub(crate) suppliers: Vec<Supplier>,
}

impl SuppliersPage {
    const HERE: Place = Place::Suppliers;
}

/// A supplier with the form that changes the number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Supplier {
    /// The id in `POST /admin/suppliers/{id}/number`.
    pub(crate) id: String,
    /// The supplier's name.
    pub(crate) name: String,
    /// The supplier's number, masked.
    pub(crate) masked: String,
    /// When and by whom the number was last changed, if it ever was.
    pub(crate) changed: Option<NumberChange>,
    /// The new number that was typed.
    pub(crate) mpesa_number: Field,
    /// The reason that was typed.
    pub(crate) reason: Field,
}

impl Supplier {
    /// Whether the form is open: something in it is wrong.
    pub(crate) fn form_open(&self) -> bool {
        self.mpesa_number.error.is_some() || self.reason.error.is_some()
    }
}
