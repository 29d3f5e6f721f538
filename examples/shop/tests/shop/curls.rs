//! The integration guide's own examples, as they are written there: only port, tokens and ids are put in.

use reqwest::Method;
use serde_json::{Value, json};
use tokio::process::Command;

use crate::{
    contract::text,
    support::{Options, PHONE, Shop, World, eventually, quick},
    wire,
};

const INITIATE: &str = r#"curl -X POST http://localhost:5000/api/payments/mpesa/initiate \
  -H "Authorization: Bearer YOUR_JWT_TOKEN" \
  -H "Content-Type: application/json" \
  -d '{
    "order_id": "your-order-uuid",
    "phone_number": "254708374149"
  }'"#;

const QUERY: &str = r#"curl -X POST http://localhost:5000/api/payments/mpesa/query \
  -H "Authorization: Bearer YOUR_JWT_TOKEN" \
  -H "Content-Type: application/json" \
  -d '{"order_id": "your-order-uuid"}'"#;

const CHECK: &str = r#"curl -X POST http://localhost:5000/api/payments/mpesa/query \
  -H "Authorization: Bearer TOKEN" \
  -H "Content-Type: application/json" \
  -d '{"order_id": "ORDER_ID"}'"#;

const HEALTH: &str = "curl https://your-ngrok-url.ngrok-free.app/api/health";

const IN_PRODUCTION: &str = r#"curl -X POST https://yourdomain.com/api/payments/mpesa/initiate \
  -H "Authorization: Bearer TOKEN" \
  -H "Content-Type: application/json" \
  -d '{
    "order_id": "test-order-id",
    "phone_number": "254712345678"
  }'"#;

const START: &str = r#"POST /api/payments/mpesa/initiate
Authorization: Bearer <jwt_token>
Content-Type: application/json

{
  "order_id": "uuid",
  "phone_number": "0712345678"
}"#;

const VERIFY: &str = "GET /api/payments/verify/<order_id>
Authorization: Bearer <jwt_token>";

const CALLBACK: &str = r#"POST /api/payments/mpesa/callback
Content-Type: application/json

{
  "Body": {
    "stkCallback": {
      "MerchantRequestID": "12345-67890-1",
      "CheckoutRequestID": "ws_CO_01012024120000000712345678",
      "ResultCode": 0,
      "ResultDesc": "The service request is processed successfully.",
      "CallbackMetadata": {
        "Item": [
          {"Name": "Amount", "Value": 1000},
          {"Name": "MpesaReceiptNumber", "Value": "QGH7X8Y9Z0"},
          {"Name": "PhoneNumber", "Value": 254712345678}
        ]
      }
    }
  }
}"#;

const PAYOUT: &str = r#"POST /api/payments/supplier/payout
Authorization: Bearer <admin_jwt_token>
Content-Type: application/json

{
  "supplier_id": "uuid",
  "amount": 5000.00,
  "notes": "Weekly payout for orders #123-#145"
}"#;

const PAYOUTS: &str = "GET /api/payments/supplier/payouts?page=1&per_page=20&status=completed
Authorization: Bearer <admin_jwt_token>";

const UPDATE: &str = r#"PUT /api/payments/supplier/<supplier_id>/update-mpesa
Authorization: Bearer <admin_jwt_token>
Content-Type: application/json

{
  "mpesa_number": "0712345678",
  "reason": "Supplier requested change"
}"#;

/// The names of an object's properties.
fn names(value: &Value) -> Vec<&str> {
    value.as_object().expect("an object").keys().map(String::as_str).collect()
}

/// Runs a command of the guide in a shell.
async fn curl(shop: &Shop, command: &str, token: &str, order: &str) -> Value {
    let port = shop.base.rsplit(':').next().unwrap();
    let command = ["http://localhost:5000", "https://yourdomain.com", "https://your-ngrok-url.ngrok-free.app"]
        .iter()
        .fold(command.to_owned(), |command, base| command.replace(base, &format!("http://localhost:{port}")))
        .replace("Bearer YOUR_JWT_TOKEN", &format!("Bearer {token}"))
        .replace("Bearer TOKEN", &format!("Bearer {token}"));
    let ids = ["your-order-uuid", "ORDER_ID", "test-order-id"];
    let command =
        ids.iter().fold(command, |command, id| command.replace(&format!("\"{id}\""), &format!("\"{order}\"")));
    let output = Command::new("sh").args(["-c", &command]).env("no_proxy", "*").output().await.unwrap();
    assert!(output.status.success(), "{command}\n{}", String::from_utf8_lossy(&output.stderr));
    let body: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(names(&body), ["data", "message", "success"], "{body}");
    assert_eq!(body["success"], true, "{body}");
    body
}

/// Whether there is curl. Where everything has to be checked, it has to be there.
async fn is_there() -> bool {
    let found = Command::new("curl").arg("--version").output().await.is_ok_and(|output| output.status.success());
    assert!(found || std::env::var_os("CI").is_none(), "curl is missing: the guide's commands cannot be tried");
    if !found {
        eprintln!("SKIPPED: the guide's curl commands were not tried, as there is no curl here");
    }
    found
}

#[tokio::test]
async fn the_guides_curl_commands_pay_an_order() {
    if !is_there().await {
        return;
    }
    let world = World::new().await;
    let (shop, simulator) = (&world.shop, &world.simulator);
    let token = shop.customer("amina@shop.example").await;
    let order = shop.order(&token, 500).await;

    let started = curl(shop, INITIATE, &token, &order).await;
    assert_eq!(started["message"], "STK Push sent successfully");
    assert_eq!(started["data"]["customer_message"], "Please check your phone and enter your M-Pesa PIN");
    assert_eq!(started["data"]["checkout_request_id"], simulator.prompts()[0].checkout_request_id.as_str());
    assert!(started["data"]["merchant_request_id"].is_string());
    shop.until(&token, &order, "completed").await;
    for command in [QUERY, CHECK] {
        let data = curl(shop, command, &token, &order).await["data"].clone();
        assert_eq!((&data["status"], &data["payment_status"]), (&json!("completed"), &json!("completed")));
        assert_eq!(data["payment_reference"], simulator.payments()[0].receipt.as_str());
    }
    curl(shop, HEALTH, &token, &order).await;
    let other = shop.order(&token, 1).await;
    curl(shop, IN_PRODUCTION, &token, &other).await;
    assert_eq!(simulator.prompts()[1].payer.to_string(), "254712345678");
    world.end().await;
}

/// Sends an example as it is written: request line, headers, an empty line, body.
async fn http(shop: &Shop, example: &str, token: &str, id: &str) -> (u16, Value) {
    let example =
        ["<jwt_token>", "<admin_jwt_token>"].iter().fold(example.to_owned(), |text, name| text.replace(name, token));
    let example = ["<order_id>", "<supplier_id>"].iter().fold(example, |text, name| text.replace(name, id));
    let example = example.replace("\"uuid\"", &format!("\"{id}\""));
    let (head, body) = example.split_once("\n\n").unwrap_or((&example, ""));
    let (line, headers) = head.split_once('\n').unwrap();
    let answer = wire::send(&shop.base, &format!("{line} HTTP/1.1\n{headers}"), body.as_bytes()).await;
    (answer.status, serde_json::from_str(&answer.body).unwrap())
}

#[tokio::test]
async fn the_guides_http_examples_are_answered_as_it_says() {
    let world = World::with(quick(), Options::default().with("SHOP_NEW_NUMBER_SECONDS", "0")).await;
    let (shop, simulator) = (&world.shop, &world.simulator);
    let (token, admin) = (shop.customer("amina@shop.example").await, shop.admin().await);
    let order = shop.order(&token, 500).await;

    let (status, started) = http(shop, START, &token, &order).await;
    assert_eq!((status, names(&started)), (200, vec!["data", "message", "success"]));
    for name in ["checkout_request_id", "merchant_request_id", "customer_message"] {
        assert!(started["data"][name].is_string(), "{name}: {started}");
    }
    assert_eq!(simulator.prompts()[0].payer.to_string(), "254712345678");
    shop.until(&token, &order, "completed").await;
    let (status, verified) = http(shop, VERIFY, &token, &order).await;
    assert_eq!((status, &verified["data"]["status"]), (200, &json!("completed")));

    let supplier = shop.supplier(&admin, "Kericho Tea", "254700000101").await;
    let (status, paid) = http(shop, PAYOUT, &admin, &supplier).await;
    assert_eq!((status, &paid["success"], &paid["data"]["amount"]), (202, &json!(true), &json!(5_000)));
    assert_eq!(paid["data"]["notes"], "Weekly payout for orders #123-#145");
    let list = async || http(shop, PAYOUTS, &admin, "").await.1["data"].clone();
    eventually("the payout is completed", async || list().await["total"] == 1).await;
    let listed = list().await;
    assert_eq!((&listed["page"], &listed["per_page"]), (&json!(1), &json!(20)));
    assert_eq!(listed["items"][0]["receipt"], simulator.payouts()[0].receipt.as_str());
    assert_eq!(simulator.payouts()[0].amount.get(), 5_000);

    let (status, updated) = http(shop, UPDATE, &admin, &supplier).await;
    assert_eq!((status, &updated["data"]["mpesa_number"]), (200, &json!("254712345678")));
    for (example, id) in [(PAYOUT, &supplier), (UPDATE, &supplier)] {
        assert_eq!(http(shop, example, &token, id).await.0, 403);
    }
    world.end().await;
}

#[tokio::test]
async fn the_guides_callback_is_answered_and_believed_by_nobody() {
    let world = World::new().await;
    let shop = &world.shop;
    world.simulator.everyone().approves().after(std::time::Duration::from_mins(5));
    let token = shop.customer("amina@shop.example").await;
    let order = shop.order(&token, 1_000).await;
    let started = shop.pay(&token, &order, PHONE).await.ok(200);
    // As it stands, and about the payment that is under way.
    let own = CALLBACK.replace("ws_CO_01012024120000000712345678", &text(&started["checkout_request_id"]));
    for example in [CALLBACK, &own] {
        let (status, body) = http(shop, example, "", "").await;
        assert_eq!((status, &body["ResultCode"]), (200, &json!(0)), "{body}");
    }
    assert_eq!(shop.call(Method::GET, "/api/payments/mpesa/callback", "", None).await.status, 405);
    let state = shop.verify(&token, &order).await;
    assert_eq!((&state["status"], &state["payment_reference"]), (&json!("pending"), &Value::Null));
    assert_eq!(world.value("SELECT COUNT(*) FROM received").await, 0);
    assert!((shop.metric("shop_callbacks_unsigned_total").await - 2.0).abs() < 0.1);
    world.end().await;
}
