//! Payment and shops.

use super::{row, Row};
use crate::catalog::Id;
use crate::detect::token::form::Form::{AtLeast, Own, Parts};
use crate::detect::token::form::Part::{Run, Sign};
use crate::detect::token::form::{is_alnum, is_base64, is_hex, is_word_or_hyphen, UUID};
use crate::detect::token::vendor::{shopify, square};

pub(super) const ROWS: &[Row] = &[
    row(
        "PayPal",
        "access_token$production$",
        Id::VendorToken,
        Parts(&[Run(16, 16, is_alnum), Sign("$"), Run(32, 32, is_hex)]),
        "access_token$production${a16}${h32}",
    ),
    row(
        "Stripe",
        "sk_live_",
        Id::StripeKey,
        AtLeast(16, is_alnum),
        "sk_live_{a24}",
    ),
    row(
        "Stripe",
        "sk_test_",
        Id::StripeKey,
        AtLeast(16, is_alnum),
        "sk_test_{a24}",
    ),
    row(
        "Stripe",
        "rk_live_",
        Id::StripeKey,
        AtLeast(16, is_alnum),
        "rk_live_{a24}",
    ),
    row(
        "Stripe",
        "rk_test_",
        Id::StripeKey,
        AtLeast(16, is_alnum),
        "rk_test_{a24}",
    ),
    row(
        "Stripe",
        "pk_live_",
        Id::StripeKey,
        AtLeast(16, is_alnum),
        "pk_live_{a24}",
    ),
    row(
        "Stripe",
        "pk_test_",
        Id::StripeKey,
        AtLeast(16, is_alnum),
        "pk_test_{a24}",
    ),
    row(
        "Stripe webhooks",
        "whsec_",
        Id::StripeKey,
        AtLeast(24, is_base64),
        "whsec_{a32}",
    ),
    row(
        "Shopify",
        "shp",
        Id::VendorToken,
        Own(shopify),
        "shpat_{h32}",
    ),
    row(
        "Square",
        "sq0",
        Id::VendorToken,
        Own(square),
        "sq0atp-{w22}",
    ),
    row(
        "Square",
        "EAAA",
        Id::VendorToken,
        AtLeast(56, is_word_or_hyphen),
        "EAAA{w60}",
    ),
    row(
        "Razorpay",
        "rzp_live_",
        Id::VendorToken,
        AtLeast(14, is_alnum),
        "rzp_live_{a14}",
    ),
    row(
        "Razorpay",
        "rzp_test_",
        Id::VendorToken,
        AtLeast(14, is_alnum),
        "rzp_test_{a14}",
    ),
    row(
        "Flutterwave",
        "FLWSECK_TEST-",
        Id::VendorToken,
        AtLeast(12, is_alnum),
        "FLWSECK_TEST-{h32}-X",
    ),
    row(
        "Flutterwave",
        "FLWSECK-",
        Id::VendorToken,
        AtLeast(12, is_alnum),
        "FLWSECK-{h32}-X",
    ),
    row(
        "Shippo",
        "shippo_live_",
        Id::VendorToken,
        AtLeast(40, is_hex),
        "shippo_live_{h40}",
    ),
    row(
        "Shippo",
        "shippo_test_",
        Id::VendorToken,
        AtLeast(40, is_hex),
        "shippo_test_{h40}",
    ),
    row(
        "EasyPost",
        "EZAK",
        Id::VendorToken,
        AtLeast(54, is_alnum),
        "EZAK{a54}",
    ),
    row(
        "EasyPost",
        "EZTK",
        Id::VendorToken,
        AtLeast(54, is_alnum),
        "EZTK{a54}",
    ),
    row(
        "Duffel",
        "duffel_live_",
        Id::VendorToken,
        AtLeast(40, is_word_or_hyphen),
        "duffel_live_{w43}",
    ),
    row(
        "Duffel",
        "duffel_test_",
        Id::VendorToken,
        AtLeast(40, is_word_or_hyphen),
        "duffel_test_{w43}",
    ),
    row(
        "Plaid",
        "access-sandbox-",
        Id::VendorToken,
        Parts(UUID),
        "access-sandbox-{h8}-{h4}-{h4}-{h4}-{h12}",
    ),
    row(
        "Plaid",
        "access-production-",
        Id::VendorToken,
        Parts(UUID),
        "access-production-{h8}-{h4}-{h4}-{h4}-{h12}",
    ),
    row(
        "Plaid",
        "access-development-",
        Id::VendorToken,
        Parts(UUID),
        "access-development-{h8}-{h4}-{h4}-{h4}-{h12}",
    ),
];
