//! How a payment ends that is not simply paid: each time the page says what is safe to do.

use tokio::join;

use super::{Demo, Visitor};

#[tokio::test]
async fn a_payment_that_is_cancelled_on_the_phone_can_be_tried_again() {
    let Some(demo) = Demo::start("cancels", &[]).await else { return };
    let (customer, payer) = join!(demo.customer(), demo.payer());
    customer.order("Tea leaves", "1").await;
    customer.pay("0708374149").await;
    payer.browser.click("button[value=cancel]").await;
    payer.sees("The phone has answered", "answered").await;
    customer.sees("Not paid", "cancelled").await;
    let told = customer.browser.text(".stage").await;
    assert!(told.contains("cancelled") && told.contains("You can try again now"), "{told}");
    assert_eq!(customer.browser.property("#phone_number", "value").await, "0708 374 149");

    // A wrong PIN, and then the right one.
    customer.browser.click("#pay").await;
    payer.answers("0000").await;
    customer.browser.says(".stage.bad", "PIN").await;
    customer.sees("Not paid", "wrong-pin").await;
    customer.browser.click("#pay").await;
    payer.answers("4321").await;
    customer.browser.says("main", "Paid. Thank you!").await;
    customer.is_quiet("paid").await;

    // Another order is called off altogether.
    customer.order("Stamp", "1").await;
    customer.browser.click("#cancel").await;
    customer.sees("This order is cancelled", "order-cancelled").await;
}

#[tokio::test]
async fn a_prompt_that_is_ignored_runs_out_and_the_button_waits_as_long_as_it_is_not_safe() {
    let Some(demo) = Demo::start("ignores", &[]).await else { return };
    let (customer, payer) = join!(demo.customer(), demo.payer());
    customer.order("Honey", "2").await;
    customer.pay("0708374149").await;
    payer.browser.click(".prompt a.button").await;
    payer.sees("You put the phone away", "ignored").await;
    customer.sees("Not known to be paid", "no-response").await;
    let told = customer.browser.text(".stage").await;
    assert!(told.contains("You can try again in"), "{told}");
    assert_eq!(customer.browser.property("#pay", "disabled").await, true);
    assert!(customer.seconds().await.is_some_and(|seconds| seconds > 0));
    payer.sees("No request to pay", "run-out").await;
}

#[tokio::test]
async fn as_long_as_nobody_knows_the_page_says_not_to_pay_again() {
    let Some(demo) = Demo::start("unknown", &[("SHOP_PATIENCE_SECONDS", "6")]).await else { return };
    let (customer, payer) = join!(demo.customer(), demo.payer());
    customer.order("Coffee beans", "1").await;
    customer.pay("0700 000 003").await;
    customer.browser.says("main", "Look at your phone").await;
    customer.sees("Not known yet: do not pay again", "not-known").await;
    assert!(!customer.browser.has("#pay").await, "it is offered to pay again");
    customer.browser.darken().await;
    customer.look("not-known-dark").await;

    payer.open_phone("254700000003").await;
    payer.sees("Do you want to pay KES 850", "slow-prompt").await;
    payer.answers("1234").await;
    customer.sees("Paid. Thank you!", "paid-dark").await;
    customer.go("/orders").await;
    customer.look("orders-dark").await;
    customer.open_phone("254700000003").await;
    customer.look("phone-dark").await;
}

#[tokio::test]
async fn a_phone_with_an_open_request_is_told_so_and_the_button_waits() {
    let Some(demo) = Demo::start("busy", &[]).await else { return };
    let customer = demo.customer().await;
    customer.order("Honey", "1").await;
    customer.pay("0708374149").await;
    customer.browser.says("main", "Look at your phone").await;
    customer.order("Stamp", "2").await;
    customer.pay("0708374149").await;
    customer.sees("There is already a request on this phone: answer or cancel it first", "busy").await;
    assert_eq!(customer.browser.property("#pay", "disabled").await, true);
    assert!(customer.seconds().await.is_some_and(|seconds| seconds > 30));
}

impl Visitor<'_> {
    /// What the page's countdown shows.
    pub(super) async fn seconds(&self) -> Option<u32> {
        self.browser.text("[data-countdown]").await.parse().ok()
    }

    /// Enters a PIN where a prompt is open, or about to come.
    pub(super) async fn answers(&self, pin: &str) {
        self.browser.fill(".pin", pin).await;
        self.submits(".prompt button[value=pin]").await;
    }
}
