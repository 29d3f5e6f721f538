//! Products and orders: what is to be paid is reckoned here, never by the client.

use axum::{
    extract::State,
    http::{HeaderMap, StatusCode},
};
use serde::{Deserialize, Serialize};
use sqlx::{AnyConnection, FromRow};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    app::App,
    auth::{Admin, User},
    db::{new_id, now},
    idempotency::{self, Named, Seen},
    openapi::{Conflict, Forbidden, Invalid, NotFound, Unauthorized},
    payouts::Amount,
    reply::{Answer, Asked, Body, Failure, Id, List, Page, Reply, id, text},
    suppliers::audit,
};

/// The most of one product in an order.
const MOST: u32 = 1_000;
/// The most that an order may come to: what M-PESA moves at once.
const LARGEST: i64 = 250_000;

/// Something that is sold.
#[derive(Debug, Clone, Serialize, Deserialize, FromRow, ToSchema)]
pub(crate) struct Product {
    pub(crate) id: String,
    pub(crate) name: String,
    /// Whole shillings.
    pub(crate) price: i64,
}

/// Something new to sell.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewProduct {
    /// 1 to 100 characters. What follows the first comma is shown in small print.
    #[schema(max_length = 100, example = "Coffee beans, 500 g")]
    pub(crate) name: String,
    /// Whole shillings, 1 to 250,000: a decimal with zero cents is taken, other cents are refused.
    #[schema(value_type = f64, example = 850)]
    pub(crate) price: Amount,
}

/// An order.
#[derive(Debug, Clone, Serialize, Deserialize, FromRow, ToSchema)]
pub(crate) struct Order {
    pub(crate) id: String,
    #[serde(skip, default)]
    pub(crate) customer_id: String,
    /// What the customer reads in the prompt.
    #[schema(example = "SH-1F3A7C20")]
    pub(crate) number: String,
    /// Whole shillings.
    pub(crate) amount: i64,
    /// open, paid, cancelled or refunded
    pub(crate) state: String,
    #[serde(skip, default)]
    pub(crate) paid_by: Option<String>,
    /// Milliseconds since 1970.
    pub(crate) created_at: i64,
}

/// A line of an order.
#[derive(Debug, Clone, Serialize, Deserialize, FromRow, ToSchema)]
pub(crate) struct Line {
    pub(crate) product_id: String,
    pub(crate) name: String,
    /// Whole shillings, of one.
    pub(crate) price: i64,
    pub(crate) quantity: i64,
}

/// An order with its lines.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub(crate) struct OrderDetails {
    #[serde(flatten)]
    pub(crate) order: Order,
    pub(crate) lines: Vec<Line>,
}

/// What is ordered. There is no amount in it.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewOrder {
    #[schema(min_items = 1, max_items = 50)]
    pub(crate) items: Vec<Item>,
}

/// How many of which product.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Item {
    #[schema(format = "uuid")]
    pub(crate) product_id: String,
    #[schema(minimum = 1, maximum = 1000)]
    pub(crate) quantity: u32,
}

const COLUMNS: &str = "id, customer_id, number, amount, state, paid_by, created_at";

fn orders(before: &str, after: &str) -> sqlx::AssertSqlSafe<String> {
    sqlx::AssertSqlSafe(format!("{before} {COLUMNS} {after}"))
}

pub(crate) fn not_found() -> Failure {
    Failure::not_found("ORDER_NOT_FOUND", "There is no such order.")
}

impl Order {
    pub(crate) fn check_payable(&self) -> Result<(), Failure> {
        match self.state.as_str() {
            "open" => Ok(()),
            "cancelled" => Err(Failure::conflict("ORDER_CANCELLED", "This order was cancelled.")),
            _ => Err(Failure::conflict("ORDER_PAID", "This order is paid: do not pay again.")),
        }
    }
}

/// Locks an order until the transaction ends, and reads it.
pub(crate) async fn lock(tx: &mut AnyConnection, id: &str) -> sqlx::Result<Option<Order>> {
    sqlx::query_as(orders("UPDATE orders SET version = version + 1 WHERE id = $1 RETURNING", ""))
        .bind(id)
        .fetch_optional(tx)
        .await
}

/// An order of this user; an admin may see them all. Another customer's is not there.
pub(crate) async fn find_own(app: &App, user: &User, order_id: &str) -> Result<Order, Failure> {
    let id = id(order_id).ok_or_else(not_found)?;
    let order: Option<Order> =
        sqlx::query_as(orders("SELECT", "FROM orders WHERE id = $1")).bind(id).fetch_optional(app.db.pool()).await?;
    order.filter(|order| user.is_admin() || order.customer_id == user.id).ok_or_else(not_found)
}

pub(crate) async fn lines(app: &App, order: &Order) -> sqlx::Result<Vec<Line>> {
    sqlx::query_as("SELECT product_id, name, price, quantity FROM order_lines WHERE order_id = $1 ORDER BY name")
        .bind(&order.id)
        .fetch_all(app.db.pool())
        .await
}

pub(crate) async fn products(app: &App) -> sqlx::Result<Vec<Product>> {
    sqlx::query_as("SELECT id, name, price FROM products WHERE removed_at IS NULL ORDER BY name, id")
        .fetch_all(app.db.pool())
        .await
}

async fn add(app: &App, admin: &Admin, new: &NewProduct) -> Result<Product, Failure> {
    let product = Product { id: new_id(), name: text("name", &new.name, 100)?, price: new.price.shillings() };
    let mut tx = app.db.write().await?;
    sqlx::query("INSERT INTO products (id, name, price) VALUES ($1, $2, $3)")
        .bind(&product.id)
        .bind(&product.name)
        .bind(product.price)
        .execute(&mut *tx)
        .await?;
    let price = product.price.to_string();
    audit(&mut tx, &admin.0, "product.added", &product.id, None, Some(&price), &product.name).await?;
    tx.commit().await?;
    Ok(product)
}

/// Takes a product out of the shop. Orders that were made keep their lines and their prices.
async fn remove(app: &App, admin: &Admin, id: &str) -> Result<Product, Failure> {
    let mut tx = app.db.write().await?;
    let removed: Option<Product> = sqlx::query_as(
        "UPDATE products SET removed_at = $1 WHERE id = $2 AND removed_at IS NULL RETURNING id, name, price",
    )
    .bind(now())
    .bind(id)
    .fetch_optional(&mut *tx)
    .await?;
    let product = removed.ok_or_else(|| Failure::not_found("PRODUCT_NOT_FOUND", "There is no such product."))?;
    let price = product.price.to_string();
    audit(&mut tx, &admin.0, "product.removed", id, Some(&price), None, &product.name).await?;
    tx.commit().await?;
    Ok(product)
}

/// Orders of a user, the newest first.
pub(crate) async fn of_user(app: &App, user: &User, page: Page) -> Result<List<Order>, Failure> {
    let (limit, offset) = page.limits()?;
    let items = sqlx::query_as(orders(
        "SELECT",
        "FROM orders WHERE customer_id = $1 ORDER BY created_at DESC, id LIMIT $2 OFFSET $3",
    ))
    .bind(&user.id)
    .bind(limit)
    .bind(offset)
    .fetch_all(app.db.pool())
    .await?;
    let (total,): (i64,) = sqlx::query_as("SELECT COUNT(*) FROM orders WHERE customer_id = $1")
        .bind(&user.id)
        .fetch_one(app.db.pool())
        .await?;
    Ok(List::new(items, page, total))
}

/// Makes an order at today's prices.
pub(crate) async fn make(
    app: &App,
    user: &User,
    wanted: &NewOrder,
    named: Option<&Named>,
) -> Result<Reply<OrderDetails>, Failure> {
    if wanted.items.is_empty() || wanted.items.len() > 50 {
        return Err(Failure::invalid("INVALID_ORDER", "An order has 1 to 50 lines."));
    }
    let mut order = Order {
        id: new_id(),
        customer_id: user.id.clone(),
        number: number(),
        amount: 0,
        state: "open".to_owned(),
        paid_by: None,
        created_at: now(),
    };
    let mut lines: Vec<Line> = Vec::new();
    for item in &wanted.items {
        let line = line(app, item).await?;
        if lines.iter().any(|other| other.product_id == line.product_id) {
            return Err(Failure::invalid("INVALID_ORDER", "A product stands in an order once, with its quantity."));
        }
        order.amount = order.amount.saturating_add(line.price.saturating_mul(line.quantity));
        lines.push(line);
    }
    if order.amount > LARGEST {
        return Err(Failure::invalid("ORDER_TOO_LARGE", "M-PESA moves at most KES 250,000 at once: order less."));
    }
    let reply = Reply::new("Order created", OrderDetails { order, lines }).with_status(StatusCode::CREATED);
    let mut tx = app.db.write().await?;
    if let Some(named) = named {
        match named.begin(&mut tx, &reply.data.order.id).await? {
            Seen::Never => named.finish(&mut tx, &reply).await?,
            Seen::Answered(status, answer) => return idempotency::again(status, &answer),
            Seen::UnderWay(_) => return Err(idempotency::in_flight()),
        }
    }
    insert(&mut tx, &reply.data).await?;
    tx.commit().await?;
    tracing::info!(event = "order.created", order = reply.data.order.number, "an order was made");
    Ok(reply)
}

async fn line(app: &App, item: &Item) -> Result<Line, Failure> {
    if !(1..=MOST).contains(&item.quantity) {
        return Err(Failure::invalid("INVALID_ORDER", "A quantity is 1 to 1,000."));
    }
    let no_product = || Failure::invalid("PRODUCT_NOT_FOUND", "There is no such product.");
    let product: Product = sqlx::query_as("SELECT id, name, price FROM products WHERE id = $1 AND removed_at IS NULL")
        .bind(id(&item.product_id).ok_or_else(no_product)?)
        .fetch_optional(app.db.pool())
        .await?
        .ok_or_else(no_product)?;
    let Product { id: product_id, name, price } = product;
    Ok(Line { product_id, name, price, quantity: i64::from(item.quantity) })
}

async fn insert(tx: &mut AnyConnection, details: &OrderDetails) -> sqlx::Result<()> {
    let OrderDetails { order, lines } = details;
    sqlx::query(
        "INSERT INTO orders (id, customer_id, number, amount, state, created_at) VALUES ($1, $2, $3, $4, 'open', $5)",
    )
    .bind(&order.id)
    .bind(&order.customer_id)
    .bind(&order.number)
    .bind(order.amount)
    .bind(order.created_at)
    .execute(&mut *tx)
    .await?;
    for line in lines {
        sqlx::query(
            "INSERT INTO order_lines (order_id, product_id, name, price, quantity) VALUES ($1, $2, $3, $4, $5)",
        )
        .bind(&order.id)
        .bind(&line.product_id)
        .bind(&line.name)
        .bind(line.price)
        .bind(line.quantity)
        .execute(&mut *tx)
        .await?;
    }
    Ok(())
}

/// Short enough for an account reference, and not to be guessed.
fn number() -> String {
    let random = uuid::Uuid::new_v4().simple().to_string().to_uppercase();
    format!("SH-{}", random.get(..8).unwrap_or(&random))
}

/// Cancels an order that is not paid. A payment that is under way may still come in: it is then to be given back.
pub(crate) async fn cancel(app: &App, user: &User, order_id: &str) -> Result<Order, Failure> {
    let order = find_own(app, user, order_id).await?;
    let mut tx = app.db.write().await?;
    let order = lock(&mut tx, &order.id).await?.ok_or_else(not_found)?;
    order.check_payable()?;
    sqlx::query("UPDATE orders SET state = 'cancelled' WHERE id = $1").bind(&order.id).execute(&mut *tx).await?;
    tx.commit().await?;
    tracing::info!(event = "order.cancelled", order = order.number, "an order was cancelled");
    Ok(Order { state: "cancelled".to_owned(), ..order })
}

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list_products, add_product))
        .routes(routes!(remove_product))
        .routes(routes!(create_order, list_orders))
        .routes(routes!(show_order))
        .routes(routes!(cancel_order))
}

/// What is sold.
#[utoipa::path(get, path = "/api/products", tag = "orders", security(()), responses(
    (status = 200, body = Reply<Vec<Product>>),
))]
async fn list_products(State(app): State<App>) -> Answer<Vec<Product>> {
    Ok(Reply::new("Products", products(&app).await?))
}

/// Adds a product. A new price is a new product: add it, and remove the old one.
#[utoipa::path(post, path = "/api/products", tag = "admin", request_body = NewProduct,
    responses((status = 201, body = Reply<Product>), Unauthorized, Forbidden, Invalid))]
async fn add_product(State(app): State<App>, admin: Admin, Body(new): Body<NewProduct>) -> Answer<Product> {
    Ok(Reply::new("Product added", add(&app, &admin, &new).await?).with_status(StatusCode::CREATED))
}

/// Removes a product from the shop. Orders that were made of it stay as they are, and can still be paid.
#[utoipa::path(delete, path = "/api/products/{id}", tag = "admin", params(("id" = String, Path)),
    responses((status = 200, body = Reply<Product>), Unauthorized, Forbidden, NotFound))]
async fn remove_product(State(app): State<App>, admin: Admin, Id(id): Id) -> Answer<Product> {
    Ok(Reply::new("Product removed", remove(&app, &admin, &id).await?))
}

/// Makes an order. The amount is reckoned from today's prices.
#[utoipa::path(post, path = "/api/orders", tag = "orders", request_body = NewOrder,
    params(("Idempotency-Key" = Option<String>, Header, description = "The same request twice is one order.")),
    responses((status = 201, body = Reply<OrderDetails>), Unauthorized, Conflict, Invalid))]
async fn create_order(
    State(app): State<App>,
    user: User,
    headers: HeaderMap,
    Body(wanted): Body<NewOrder>,
) -> Answer<OrderDetails> {
    let named = Named::read(&headers, &user, "orders", &wanted)?;
    make(&app, &user, &wanted, named.as_ref()).await
}

/// The caller's orders, the newest first.
#[utoipa::path(get, path = "/api/orders", tag = "orders", params(Page),
    responses((status = 200, body = Reply<List<Order>>), Unauthorized))]
async fn list_orders(State(app): State<App>, user: User, Asked(page): Asked<Page>) -> Answer<List<Order>> {
    Ok(Reply::new("Orders", of_user(&app, &user, page).await?))
}

/// One order with its lines.
#[utoipa::path(get, path = "/api/orders/{id}", tag = "orders", params(("id" = String, Path)),
    responses((status = 200, body = Reply<OrderDetails>), Unauthorized, NotFound))]
async fn show_order(State(app): State<App>, user: User, Id(id): Id) -> Answer<OrderDetails> {
    let order = find_own(&app, &user, &id).await?;
    let lines = lines(&app, &order).await?;
    Ok(Reply::new("Order", OrderDetails { order, lines }))
}

/// Cancels an order that is not paid.
#[utoipa::path(post, path = "/api/orders/{id}/cancel", tag = "orders", params(("id" = String, Path)),
    responses((status = 200, body = Reply<Order>), Unauthorized, NotFound, Conflict))]
async fn cancel_order(State(app): State<App>, user: User, Id(id): Id) -> Answer<Order> {
    Ok(Reply::new("Order cancelled", cancel(&app, &user, &id).await?))
}
