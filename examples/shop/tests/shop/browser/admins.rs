//! What admins do in a browser: payouts with their confirmation, the second admin, lists, and the chart.

use serde_json::{Value, json};
use tokio::join;

use super::{ADMIN, Demo, SECOND_ADMIN, Visitor};
use crate::{
    contract::{Ask, text},
    webdriver::Screen,
};

#[tokio::test]
async fn a_payout_is_confirmed_and_ends_with_a_receipt_that_the_supplier_reads_too() {
    let Some(demo) = Demo::start("payout", &[]).await else { return };
    let admin = demo.admin(ADMIN).await;
    admin.ask_for("Kericho Tea Sacco", "4000.50").await;
    admin.sees("leave the cents out", "cents").await;
    admin.browser.fill("#amount", "4,000").await;
    admin.browser.click("main form button").await;
    admin.sees("Is this right?", "confirm").await;
    let told = admin.browser.text("main").await;
    for part in ["KES 4,000", "Kericho Tea Sacco", "0700 000 102", "Number last changed", "by admin@shop.example"] {
        assert!(told.contains(part), "{part} is not in {told}");
    }
    admin.browser.click("main form button").await;
    admin.sees("The payout is on its way", "sent").await;
    admin.browser.says("tbody tr", "Completed").await;
    admin.look("completed").await;
    let row = admin.browser.text("tbody tr").await;
    let receipt = admin.browser.text("tbody tr .code").await;
    assert!(row.contains("KES 4,000") && receipt.len() == 10, "{row}");
    let supplier = demo.visitor(Screen::Phone).await;
    supplier.open_phone("254700000102").await;
    supplier.sees("You have received KES 4000.00", "sms").await;
    assert!(supplier.browser.text(".messages").await.contains(&receipt));
}

#[tokio::test]
async fn a_payout_to_a_number_that_was_just_changed_needs_a_second_admin() {
    let Some(demo) = Demo::start("second-admin", &[]).await else { return };
    let (admin, second) = join!(demo.admin(ADMIN), demo.admin(SECOND_ADMIN));
    admin.go("/admin/suppliers").await;
    admin.look("suppliers").await;
    admin.browser.click("summary").await;
    admin.browser.fill("input[name=mpesa_number]", "0202711000").await;
    admin.browser.fill("input[name=reason]", "They have called").await;
    admin.browser.click("details form button").await;
    admin.sees("This number cannot be paid", "bad-number").await;
    admin.browser.fill("input[name=mpesa_number]", "0700 000 105").await;
    admin.browser.click("details form button").await;
    admin.sees("The number is changed", "changed").await;

    admin.ask_for("Baringo Honey", "1500").await;
    admin.sees("A second admin must approve", "confirm").await;
    let told = admin.browser.text("main").await;
    assert!(told.contains("by admin@shop.example") && told.contains("They have called"), "{told}");
    admin.browser.click("main form button").await;
    admin.sees("waits for another admin", "waits").await;
    assert!(admin.browser.text("tbody tr").await.contains("Another admin must approve"));

    second.go("/admin/payouts?status=awaiting_approval").await;
    second.look("to-approve").await;
    second.browser.click("tbody button").await;
    second.browser.says("main", "The payout is approved").await;
    second.browser.says("tbody tr", "Completed").await;
    second.look("approved").await;
    assert!(second.browser.text("tbody tr").await.contains("approved by second.admin@shop.example"));
}

#[tokio::test]
async fn a_receipt_is_entered_by_one_admin_and_confirmed_by_another() {
    let Some(demo) = Demo::start("receipt", &[]).await else { return };
    let (customer, admin, second) = join!(demo.customer(), demo.admin(ADMIN), demo.admin(SECOND_ADMIN));
    customer.order("Honey", "1").await;
    customer.pay("0700000003").await;
    customer.browser.says("main", "Look at your phone").await;
    // Long before the page would list it by itself.
    enter_by_api(&demo, "UKTEST0001").await;
    admin.go("/admin/unknown").await;
    admin.sees("Another admin must confirm it", "entered").await;
    assert!(admin.browser.text("main").await.contains("This shop does not check it with M-PESA"));
    admin.browser.fill("input[name=receipt]:not([type=hidden])", "UKTEST0002").await;
    admin.browser.fill("input[name=reason]", "The customer showed the SMS").await;
    admin.browser.click("form[action$='/receipt'] button").await;
    admin.sees("It counts once another admin has confirmed it", "entered-anew").await;
    second.go("/admin/unknown").await;
    second.sees("Not checked with M-PESA: receipt UKTEST0002, entered by admin@shop.example", "to-confirm").await;
    second.browser.click("form[action$='/confirm'] button").await;
    second.sees("The receipt is confirmed by two admins", "confirmed").await;
    customer.sees("Paid. Thank you!", "paid").await;
    assert_eq!(customer.browser.text(".stage strong.code").await, "UKTEST0002");
}

/// Enters a receipt for the payment that is open.
async fn enter_by_api(demo: &Demo, receipt: &str) {
    let ask = async |ask: Ask| {
        let answer = ask.send(&demo.base).await;
        serde_json::from_str::<Value>(&answer.body).unwrap()["data"].clone()
    };
    let log_in = json!({"email": ADMIN.0, "password": ADMIN.1});
    let token = text(&ask(Ask::new("POST", "/api/auth/login").json(&log_in)).await["token"]);
    let open = ask(Ask::new("GET", "/api/payments?state=accepted").token(&token)).await;
    let path = format!("/api/payments/{}/receipt", text(&open["items"][0]["id"]));
    let body = json!({"receipt": receipt, "reason": "SMS seen"});
    assert_eq!(ask(Ask::new("POST", &path).token(&token).json(&body)).await["receipt"], receipt);
}

#[tokio::test]
async fn payouts_are_listed_by_page_and_by_state() {
    let Some(demo) = Demo::start("lists", &[]).await else { return };
    let admin = demo.admin(ADMIN).await;
    admin.go("/admin/payouts").await;
    admin.sees("Page 1 of 3 (45 in all)", "first-page").await;
    assert_eq!(admin.rows().await, 20);
    admin.browser.click("a[rel=next]").await;
    admin.browser.says("main", "Page 2 of 3").await;
    admin.browser.click("a[rel=next]").await;
    admin.sees("Page 3 of 3", "last-page").await;
    assert_eq!(admin.rows().await, 5);
    assert!(!admin.browser.has("a[rel=next]").await);
    admin.browser.click("a[rel=prev]").await;
    admin.browser.says("main", "Page 2 of 3").await;
    admin.browser.click(".filter a[href*=failed]").await;
    admin.sees("Page 1 of 1 (5 in all)", "failed").await;
    assert_eq!(admin.browser.text(".filter [aria-current]").await, "Failed");
    let told = admin.browser.text("tbody").await;
    assert!(!told.contains("Completed") && told.matches("Failed").count() == 5, "{told}");
}

#[tokio::test]
async fn the_dashboard_shows_two_weeks_and_fits_on_a_desk_and_on_a_phone() {
    let Some(demo) = Demo::start("dashboard", &[]).await else { return };
    join!(look_around(&demo, Screen::Desk), look_around(&demo, Screen::Phone));
}

async fn look_around(demo: &Demo, screen: Screen) {
    let admin = demo.visitor(screen).await;
    admin.log_in(ADMIN).await;
    admin.sees("Payments per day", "payments").await;
    let days = "const bars = Array.from(document.querySelectorAll('.chart rect'), bar => bar.x.baseVal.value);
        return new Set(bars).size";
    assert_eq!(admin.browser.run(days).await, 14);
    admin.browser.click("summary").await;
    admin.sees("Not known yet", "table").await;
    for path in ["unknown", "refunds", "payouts", "payouts/new", "suppliers"] {
        admin.go(&format!("/admin/{path}")).await;
        admin.look(&path.replace('/', "-")).await;
    }
    admin.browser.darken().await;
    for path in ["", "/payouts", "/suppliers"] {
        admin.go(&format!("/admin{path}")).await;
        admin.look(&format!("dark{}", path.replace('/', "-"))).await;
    }
}

impl Visitor<'_> {
    /// Fills in the form of a new payout, which asks for a confirmation.
    async fn ask_for(&self, supplier: &str, amount: &str) {
        self.go("/admin/payouts").await;
        self.browser.click(".heading a").await;
        self.browser.choose("#supplier_id", supplier).await;
        self.browser.fill("#amount", amount).await;
        self.browser.fill("#notes", "Weekly payout").await;
        self.browser.click("main form button").await;
    }

    async fn rows(&self) -> u64 {
        self.browser.run("return document.querySelectorAll('tbody tr').length").await.as_u64().unwrap_or_default()
    }
}
