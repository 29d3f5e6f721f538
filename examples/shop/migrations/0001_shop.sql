-- Times are milliseconds since 1970, ids are UUIDs as text, amounts are whole shillings unless the name says cents.
-- One text for SQLite and PostgreSQL.

CREATE TABLE users (
    id            TEXT PRIMARY KEY,
    email         TEXT NOT NULL UNIQUE,
    password_hash TEXT NOT NULL,
    role          TEXT NOT NULL CHECK (role IN ('customer', 'admin')),
    -- The admin who made this one; null for the first admins and for customers.
    created_by    TEXT,
    created_at    BIGINT NOT NULL
);

CREATE TABLE products (
    id    TEXT PRIMARY KEY,
    name  TEXT NOT NULL,
    price BIGINT NOT NULL CHECK (price > 0),
    -- When it was taken out of the shop; null as long as it is sold. Orders keep naming it.
    removed_at BIGINT
);

CREATE TABLE orders (
    id          TEXT PRIMARY KEY,
    customer_id TEXT NOT NULL REFERENCES users (id),
    number      TEXT NOT NULL UNIQUE,
    amount      BIGINT NOT NULL CHECK (amount > 0),
    state       TEXT NOT NULL CHECK (state IN ('open', 'paid', 'cancelled', 'refunded')),
    -- The payment whose money the order has.
    paid_by     TEXT,
    version     BIGINT NOT NULL DEFAULT 0,
    created_at  BIGINT NOT NULL
);
CREATE INDEX orders_of_customer ON orders (customer_id, created_at);

CREATE TABLE order_lines (
    order_id TEXT NOT NULL REFERENCES orders (id),
    product_id TEXT NOT NULL REFERENCES products (id),
    name     TEXT NOT NULL,
    price    BIGINT NOT NULL,
    quantity BIGINT NOT NULL CHECK (quantity > 0),
    PRIMARY KEY (order_id, product_id)
);

-- One push each. Its id is the reference in its signed callback URL.
CREATE TABLE payments (
    id                  TEXT PRIMARY KEY,
    order_id            TEXT NOT NULL REFERENCES orders (id),
    phone               TEXT NOT NULL,
    amount              BIGINT NOT NULL CHECK (amount > 0),
    state               TEXT NOT NULL CHECK (state IN ('created', 'sending', 'accepted', 'unknown', 'settled')),
    outcome             TEXT CHECK (outcome IN ('paid', 'failed')),
    -- 1 while no other push may be made for the order.
    holds_order         BIGINT NOT NULL DEFAULT 1,
    -- Which server sends it: what it left in `sending` when it died is unknown.
    server              TEXT NOT NULL,
    merchant_request_id TEXT,
    checkout_request_id TEXT,
    -- Why it failed, what the customer may read, what to do next and when.
    reason              TEXT,
    customer_message    TEXT,
    advice              TEXT,
    retry_at            BIGINT,
    -- A failure that only a query has told of so far.
    suspect_code        TEXT,
    suspect_at          BIGINT,
    -- 1 once a callback spoke for a payment without proving it. Queries may then prove that it was paid, and nothing else.
    claimed_paid        BIGINT NOT NULL DEFAULT 0,
    asked_at            BIGINT,
    sweep_at            BIGINT NOT NULL,
    asks                BIGINT NOT NULL DEFAULT 0,
    version             BIGINT NOT NULL DEFAULT 0,
    created_at          BIGINT NOT NULL,
    sent_at             BIGINT,
    settled_at          BIGINT,
    CHECK ((state = 'settled') = (outcome IS NOT NULL))
);
CREATE UNIQUE INDEX one_open_payment_of_an_order ON payments (order_id) WHERE holds_order = 1;
CREATE INDEX payments_of_order ON payments (order_id, created_at);
CREATE INDEX payments_to_sweep ON payments (state, sweep_at);
CREATE INDEX payments_by_checkout ON payments (checkout_request_id);
CREATE INDEX payments_by_time ON payments (created_at);

-- Every receipt is money, and is kept. A payment that only a query has told of has none yet.
CREATE TABLE received (
    id            TEXT PRIMARY KEY,
    payment_id    TEXT REFERENCES payments (id),
    receipt       TEXT UNIQUE,
    amount_cents  BIGINT,
    payer         TEXT,
    -- callback, query or admin
    source        TEXT NOT NULL,
    -- order: the order is paid by it; to_refund: it has to be given back; refunded: it was
    disposition   TEXT NOT NULL CHECK (disposition IN ('order', 'to_refund', 'refunded')),
    reason        TEXT,
    created_at    BIGINT NOT NULL
);
CREATE INDEX received_of_payment ON received (payment_id);
CREATE INDEX received_by_disposition ON received (disposition, created_at);

-- A receipt that an admin has entered, which is not checked with M-PESA. It counts once another admin has confirmed it.
CREATE TABLE entered_receipts (
    payment_id TEXT PRIMARY KEY REFERENCES payments (id),
    receipt    TEXT NOT NULL,
    reason     TEXT NOT NULL,
    entered_by TEXT NOT NULL,
    entered_at BIGINT NOT NULL
);

CREATE TABLE suppliers (
    id           TEXT PRIMARY KEY,
    name         TEXT NOT NULL,
    mpesa_number TEXT NOT NULL,
    changed_at   BIGINT NOT NULL,
    changed_by   TEXT NOT NULL,
    version      BIGINT NOT NULL DEFAULT 0,
    created_at   BIGINT NOT NULL
);

-- The library's Payout is what is stored; the other columns are to find it by.
CREATE TABLE payouts (
    id           TEXT PRIMARY KEY,
    supplier_id  TEXT REFERENCES suppliers (id),
    refund_id    TEXT,
    payout       TEXT NOT NULL,
    number       TEXT NOT NULL,
    amount       BIGINT NOT NULL,
    notes        TEXT NOT NULL,
    status       TEXT NOT NULL CHECK (status IN ('awaiting_approval', 'pending', 'completed', 'failed')),
    -- 1 if what was told cannot be true together: a person has to look at it.
    contradictory BIGINT NOT NULL DEFAULT 0,
    receipt      TEXT,
    reason       TEXT,
    created_by   TEXT NOT NULL,
    approved_by  TEXT,
    approved_at  BIGINT,
    -- When the next step is due; null if there is none.
    due_at       BIGINT,
    version      BIGINT NOT NULL DEFAULT 0,
    created_at   BIGINT NOT NULL,
    settled_at   BIGINT
);
CREATE INDEX payouts_by_status ON payouts (status, created_at);
CREATE INDEX payouts_by_time ON payouts (created_at);
CREATE INDEX payouts_due ON payouts (due_at);

CREATE TABLE refunds (
    id                         TEXT PRIMARY KEY,
    received_id                TEXT NOT NULL REFERENCES received (id),
    receipt                    TEXT NOT NULL,
    payer                      TEXT NOT NULL,
    amount                     BIGINT NOT NULL CHECK (amount > 0),
    note                       TEXT NOT NULL,
    state                      TEXT NOT NULL CHECK (state IN
        ('created', 'sending', 'accepted', 'unknown', 'not_sent', 'paying_out', 'settled', 'needs_person', 'not_given_back')),
    -- reversed, already_reversed, paid_out or by_word
    outcome                    TEXT,
    -- M-PESA's receipt of what went back, if a person told it.
    back_receipt               TEXT,
    reason                     TEXT,
    server                     TEXT NOT NULL,
    conversation_id            TEXT,
    originator_conversation_id TEXT,
    payout_id                  TEXT,
    created_by                 TEXT NOT NULL,
    version                    BIGINT NOT NULL DEFAULT 0,
    created_at                 BIGINT NOT NULL,
    sent_at                    BIGINT,
    settled_at                 BIGINT
);
-- One per receipt, but for those that a person has ended.
CREATE UNIQUE INDEX one_refund_of_a_receipt ON refunds (received_id) WHERE state <> 'not_given_back';
CREATE INDEX refunds_by_state ON refunds (state, created_at);

-- Who changed what, and why. Rows are only ever added.
CREATE TABLE audit (
    id      TEXT PRIMARY KEY,
    at      BIGINT NOT NULL,
    who     TEXT NOT NULL,
    what    TEXT NOT NULL,
    subject TEXT NOT NULL,
    before  TEXT,
    after   TEXT,
    reason  TEXT NOT NULL
);
CREATE INDEX audit_of_subject ON audit (subject, at);

-- What Daraja posted, as it came: personal data, so nobody but the shop reads it.
CREATE TABLE deliveries (
    reference TEXT NOT NULL,
    dedup_key TEXT NOT NULL,
    kind      TEXT NOT NULL,
    body      TEXT NOT NULL,
    at        BIGINT NOT NULL,
    -- When it is to be worked on, if nobody has by then. Null once it was.
    due_at    BIGINT,
    PRIMARY KEY (reference, dedup_key)
);
CREATE INDEX deliveries_due ON deliveries (due_at) WHERE due_at IS NOT NULL;

CREATE TABLE idempotency (
    user_id TEXT NOT NULL,
    route   TEXT NOT NULL,
    key     TEXT NOT NULL,
    digest  TEXT NOT NULL,
    subject TEXT NOT NULL,
    -- Null as long as the first request is under way.
    status  BIGINT,
    answer  TEXT,
    at      BIGINT NOT NULL,
    PRIMARY KEY (user_id, route, key)
);

-- What only one server may do at a time, and when the next query may be asked.
CREATE TABLE leases (
    name   TEXT PRIMARY KEY,
    holder TEXT NOT NULL,
    until  BIGINT NOT NULL
);
INSERT INTO leases (name, holder, until) VALUES ('sweeper', '', 0), ('query', '', 0), ('payouts', '', 0);

-- What Daraja lets us in with: one for all servers. `claimed_until`: `claimed_by` fetches a new one.
CREATE TABLE access_tokens (
    app           TEXT PRIMARY KEY,
    token         TEXT,
    expires_at    BIGINT NOT NULL,
    claimed_until BIGINT NOT NULL,
    claimed_by    TEXT NOT NULL
);
