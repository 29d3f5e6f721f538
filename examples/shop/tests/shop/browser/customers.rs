//! A customer who orders and pays: by mouse, by keyboard, without scripts, twice, and with a number that cannot be asked.

use serde_json::json;

use tokio::join;

use super::{AMINA, Demo, Visitor};
use crate::webdriver::{Screen, Scripts, key};

#[tokio::test]
async fn an_order_is_paid_by_pin_and_page_and_sms_tell_the_same_receipt() {
    let Some(demo) = Demo::start("pays", &[]).await else { return };
    let (customer, payer) = join!(demo.customer(), demo.payer());
    payer.look("phone-idle").await;
    customer.look("shop").await;
    customer.order("Coffee beans", "2").await;
    customer.sees("Pay with M-PESA", "order").await;
    customer.browser.fill("#phone_number", "+254 (0)708-374 149").await;
    customer.browser.says("#phone-understood", "0708 374 149").await;
    customer.look("understood").await;
    customer.browser.click("#pay").await;
    customer.sees("Look at your phone", "waiting").await;
    let seconds = customer.seconds().await.expect("it counts");
    assert!((30..=60).contains(&seconds), "{seconds}");
    customer.browser.until("it counts down", async || customer.seconds().await.is_some_and(|now| now < seconds)).await;

    payer.sees("Do you want to pay KES 1,700", "prompt").await;
    payer.answers("1234").await;
    payer.sees("paid to 174379 for account", "sms").await;
    customer.sees("Paid. Thank you!", "paid").await;
    let receipt = customer.browser.text(".stage strong.code").await;
    assert_eq!(receipt.len(), 10, "{receipt}");
    let sms = payer.browser.text(".messages li").await;
    assert!(sms.contains(&format!("{receipt} Confirmed.")) && sms.contains("1700.00"), "{sms}");
    customer.go("/orders").await;
    customer.sees("My orders", "orders").await;
    assert!(customer.browser.text(".list").await.contains("Paid"));
}

#[tokio::test]
async fn a_customer_can_do_everything_by_keyboard() {
    let Some(demo) = Demo::start("keyboard", &[]).await else { return };
    let customer = demo.visitor(Screen::Desk).await;
    customer.go("/login").await;
    customer.tab_to("email").await;
    customer.browser.press(AMINA.0).await;
    customer.tab_to("password").await;
    customer.browser.press(&format!("{}{}", AMINA.1, key::ENTER)).await;
    customer.browser.says("h1", "What would you like?").await;
    let coffee = customer.browser.property("input[data-product='Coffee beans']", "id").await;
    customer.tab_to(coffee.as_str().unwrap()).await;
    customer.look("focus").await;
    customer.browser.press(&format!("{}{}", key::UP, key::ENTER)).await;
    customer.browser.says("h1", "Order").await;
    customer.tab_to("phone_number").await;
    customer.browser.press("0708374149").await;
    customer.browser.says("#phone-understood", "0708 374 149").await;
    customer.tab_to("pay").await;
    customer.look("pay").await;
    customer.browser.press(key::ENTER).await;
    customer.browser.says("main", "Look at your phone").await;

    let payer = demo.payer().await;
    let pin = payer.browser.property(".pin", "id").await;
    payer.tab_to(pin.as_str().expect("a prompt is open")).await;
    payer.browser.press(&format!("1234{}", key::ENTER)).await;
    customer.browser.says("main", "Paid. Thank you!").await;
}

#[tokio::test]
async fn paying_works_without_scripts() {
    let Some(demo) = Demo::start("no-scripts", &[]).await else { return };
    let customer = demo.visitor_with(Screen::Phone, Scripts::Blocked).await;
    let payer = demo.visitor_with(Screen::Phone, Scripts::Blocked).await;
    customer.log_in(AMINA).await;
    customer.order("Honey", "1").await;
    customer.pay("0708374149").await;
    customer.sees("Look at your phone", "waiting").await;
    payer.open_phone("").await;
    payer.answers("1234").await;
    payer.sees("paid to 174379", "sms").await;
    // The page loads itself again.
    customer.sees("Paid. Thank you!", "paid").await;
}

#[tokio::test]
async fn a_number_that_cannot_be_asked_is_refused_beside_its_field_and_nothing_rings() {
    let Some(demo) = Demo::start("bad-number", &[]).await else { return };
    let customer = demo.customer().await;
    customer.order("Stamp", "3").await;
    for (number, name) in [("020 271 1000", "landline"), ("0708 374", "too-short"), ("Amina", "no-number")] {
        // The words about the number before.
        customer.browser.fill("#phone_number", "").await;
        customer.browser.until("no words", async || customer.browser.text("#phone-understood").await.is_empty()).await;
        customer.browser.fill("#phone_number", number).await;
        customer
            .browser
            .until("words", async || !customer.browser.text("#phone-understood.bad").await.is_empty())
            .await;
        customer.browser.click("#pay").await;
        customer.browser.says("#phone-error", "Please correct").await;
        customer.look(name).await;
        let field = customer.browser.run("const field = document.getElementById('phone_number'); return [field.value,
            field.ariaInvalid, field === document.activeElement, field.getAttribute('aria-describedby').includes('phone-error')]");
        assert_eq!(field.await, json!([number, "true", true, true]));
    }
    let payer = demo.payer().await;
    assert!(payer.browser.text(".screen").await.contains("No request to pay"));
    // An order of nothing is none.
    customer.go("/orders").await;
    customer.browser.click("button[data-order]").await;
    customer.sees("Choose how many", "nothing-chosen").await;
}

#[tokio::test]
async fn neither_a_double_click_nor_going_back_makes_a_second_prompt() {
    let Some(demo) = Demo::start("twice", &[]).await else { return };
    let (customer, payer) = join!(demo.customer(), demo.payer());
    customer.order("Kikoi towel", "1").await;
    customer.browser.fill("#phone_number", "0708374149").await;
    // Both clicks before the script of the page can do anything.
    customer
        .browser
        .run("const form = document.querySelector('form[action$=\"/pay\"]'); form.requestSubmit(); form.submit();")
        .await;
    customer.browser.says("main", "Look at your phone").await;
    payer.browser.says(".prompt", "KES 1,500").await;
    customer.browser.back().await;
    customer.browser.until("there is a page", async || customer.browser.has("h1").await).await;
    if customer.browser.has("#pay").await {
        customer.pay("0708374149").await;
    }
    customer.browser.says("main", "Look at your phone").await;
    customer.look("back").await;
    // The form once more, as an old page would send it.
    let again = "const form = document.createElement('form'); form.method = 'post'; form.action = location.pathname + '/pay';
        const csrf = document.querySelector('[name=csrf]').cloneNode(); const phone = document.createElement('input');
        phone.name = 'phone_number'; phone.value = '0708374149'; form.append(csrf, phone); document.body.append(form); form.submit();";
    customer.browser.run(again).await;
    customer.browser.says("main", "Look at your phone").await;
    payer.open_phone("").await;
    assert_eq!(payer.browser.run("return document.querySelectorAll('.prompt').length").await, 1);
    payer.answers("1234").await;
    customer.browser.says("main", "Paid. Thank you!").await;
    payer.open_phone("").await;
    assert_eq!(payer.browser.run("return document.querySelectorAll('.messages li').length").await, 1);
}

#[tokio::test]
async fn a_customer_sees_nothing_of_admins_and_is_out_after_logging_out() {
    let Some(demo) = Demo::start("customer-only", &[]).await else { return };
    let customer = demo.visitor(Screen::Phone).await;
    customer.go("/orders").await;
    customer.sees("Log in", "log-in").await;
    customer.browser.fill("#email", AMINA.0).await;
    customer.browser.fill("#password", "a wrong one").await;
    customer.browser.click("main form button").await;
    customer.sees("Please correct", "wrong-password").await;
    customer.log_in(AMINA).await;
    for path in
        ["/admin", "/admin/payouts", "/admin/payouts/new", "/admin/suppliers", "/admin/refunds", "/admin/unknown"]
    {
        customer.go(path).await;
        customer.browser.says("h1", "You cannot do this").await;
    }
    customer.look("forbidden").await;
    customer.go("/orders/nothing").await;
    customer.sees("There is no such page", "not-found").await;
    customer.go("/orders").await;
    customer.browser.click(".who button").await;
    customer.browser.says("h1", "Log in").await;
    customer.go("/orders").await;
    customer.browser.says("h1", "Log in").await;
    assert!(customer.browser.url().await.contains("/login?next="));
}

impl Visitor<'_> {
    /// Presses Tab until the element of this id has the focus.
    async fn tab_to(&self, id: &str) {
        for _ in 0..60 {
            if self.browser.run("return document.activeElement.id").await == id {
                return;
            }
            self.browser.press(key::TAB).await;
        }
        panic!("{id} is not to be reached by Tab");
    }
}
