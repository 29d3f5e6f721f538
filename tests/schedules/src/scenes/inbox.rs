//! The inbox: listeners that come and go while callbacks are delivered, in any order.

use std::time::Duration;

use crate::{
    CheckoutRequestId, Event, Reference, StkCallback,
    inbox::{Arrival, Inbox},
    stubs::Outcome::{self, Failed, Paid},
    world::{any_cut, cut, explore, one_in, spawn},
};

const HOUR: Duration = Duration::from_secs(3_600);

fn callback(id: u8, outcome: Outcome) -> StkCallback {
    StkCallback { checkout_request_id: CheckoutRequestId(id), outcome }
}

/// What a listener has been given.
#[derive(Default)]
struct Given {
    callback: Option<Outcome>,
    hint: Option<Outcome>,
}

impl Given {
    fn take(&mut self, id: u8, arrival: Arrival) {
        let (given, arrived) = match arrival {
            Arrival::Callback(arrived) => (&mut self.callback, arrived),
            Arrival::Hint(arrived) => (&mut self.hint, arrived),
        };
        assert_eq!(arrived.checkout_request_id, CheckoutRequestId(id));
        assert!(given.is_none_or(|given| given < arrived.outcome), "{:?} after {given:?}", arrived.outcome);
        *given = Some(arrived.outcome);
    }
}

/// Listens until it has been given both.
async fn listen(inbox: Inbox, id: u8, at: Option<u8>, callback: Option<Outcome>, hint: Option<Outcome>) {
    let (push, at) = (CheckoutRequestId(id), at.map(Reference));
    let mut listener = inbox.listen(&push, at.as_ref());
    let mut given = Given::default();
    while given.callback < callback || given.hint < hint {
        given.take(id, listener.next().await);
        assert!(given.callback <= callback, "a callback at another reference settles nothing");
    }
}

/// Three listeners, two of which can be cut off, five deliveries and a hint.
pub fn no_delivery_is_missed_and_each_is_forgotten_in_the_end() {
    explore(|| async {
        // What is listened to is not forgotten, whatever the capacity. Else there has to be room for what comes early.
        let is_small = one_in(2);
        let inbox = Inbox::remembering(if is_small { 1 } else { 50 }, HOUR);
        let pushes = [0, 1].map(CheckoutRequestId);
        let kept: Vec<_> = pushes.iter().filter(|_| is_small).map(|push| inbox.listen(push, None)).collect();

        let listeners = [
            (None, listen(inbox.clone(), 0, Some(0), Some(Paid), None)),
            (any_cut(), listen(inbox.clone(), 1, Some(1), Some(Failed), Some(Paid))),
            (any_cut(), listen(inbox.clone(), 0, None, None, Some(Paid))),
        ];
        let listeners = listeners.map(|(after, listener)| spawn(cut(listener, after)));
        let deliveries = [(0, 0, Failed), (0, 0, Paid), (1, 1, Failed), (1, 0, Paid), (7, 7, Paid)];
        let deliveries = deliveries.map(|(id, reference, outcome)| {
            let inbox = inbox.clone();
            spawn(async move { inbox.deliver(&Reference(reference), callback(id, outcome)) })
        });
        let hint = spawn({
            let inbox = inbox.clone();
            async move { inbox.hint(Event::Stk(callback(0, Failed))) }
        });
        for task in deliveries {
            task.await.expect("no panic");
        }
        hint.await.expect("no panic");
        for listener in listeners {
            listener.await.expect("no panic");
        }

        let finds = |id: u8| inbox.listen(&CheckoutRequestId(id), Some(&Reference(id))).look();
        assert!(matches!(finds(7), Some(Arrival::Callback(_))), "others that are listened to took its room");
        drop(kept);
        if is_small {
            assert!(inbox.len() <= 2, "more than the capacity, and no wait listens");
            inbox.hint(callback(8, Paid));
            inbox.deliver(&Reference(9), callback(9, Paid));
            assert!(matches!(finds(9), Some(Arrival::Callback(_))), "the newest is remembered");
            assert_eq!(inbox.len(), 2, "one of each kind");
        } else {
            assert_eq!(inbox.len(), 5, "each once");
        }
    });
}
