//! Chat, mail and social networks.

use super::{row, Row};
use crate::catalog::Id;
use crate::detect::token::form::Form::{AtLeast, Exactly, Own, Parts};
use crate::detect::token::form::Part::{Run, Sign};
use crate::detect::token::form::{
    is_alnum, is_alnum_or_hyphen, is_hex, is_percent, is_word_or_hyphen, slack, slack_webhook,
};
use crate::detect::token::vendor::{
    discord_bot, discord_webhook, hubspot, mailchimp, okta, salesforce, sendgrid, teams_webhook,
    telegram,
};

pub(super) const ROWS: &[Row] = &[
    row("Slack", "xox", Id::SlackToken, Own(slack), "xoxb-{d12}-{d12}-{a24}"),
    row("Slack", "xapp-", Id::SlackToken, AtLeast(30, is_alnum_or_hyphen), "xapp-1-{u11}-{d12}-{h64}"),
    row("Slack webhooks", "hooks.slack.com/", Id::SlackToken, Own(slack_webhook), "https://hooks.slack.com/services/T{u10}/B{u10}/{a24}"),
    row("Discord webhooks", "discord.com/api/webhooks/", Id::VendorToken, Own(discord_webhook), "https://discord.com/api/webhooks/{d18}/{w68}"),
    row("Discord webhooks", "discordapp.com/api/webhooks/", Id::VendorToken, Own(discord_webhook), "https://discordapp.com/api/webhooks/{d18}/{w68}"),
    row("Discord bots", "MT", Id::VendorToken, Own(discord_bot), "MT{a24}.{w6}.{w38}"),
    row("Discord bots", "Mz", Id::VendorToken, Own(discord_bot), "Mz{a24}.{w6}.{w38}"),
    row("Discord bots", "ND", Id::VendorToken, Own(discord_bot), "ND{a24}.{w6}.{w38}"),
    row("Discord bots", "NT", Id::VendorToken, Own(discord_bot), "NT{a24}.{w6}.{w38}"),
    row("Discord bots", "NZ", Id::VendorToken, Own(discord_bot), "NZ{a24}.{w6}.{w38}"),
    row("Discord bots", "Nj", Id::VendorToken, Own(discord_bot), "Nj{a24}.{w6}.{w38}"),
    row("Discord bots", "Nz", Id::VendorToken, Own(discord_bot), "Nz{a24}.{w6}.{w38}"),
    row("Discord bots", "OD", Id::VendorToken, Own(discord_bot), "OD{a24}.{w6}.{w38}"),
    row("Discord bots", "OT", Id::VendorToken, Own(discord_bot), "OT{a24}.{w6}.{w38}"),
    row("Teams webhooks", "webhook.office.com/", Id::VendorToken, Own(teams_webhook), "https://acme.webhook.office.com/webhookb2/{h8}-{h4}-{h4}-{h4}-{h12}@{h8}-{h4}-{h4}-{h4}-{h12}/IncomingWebhook/{h32}"),
    row("Adafruit", "aio_", Id::VendorToken, Exactly(28, is_alnum), "aio_{a28}"),
    row("Telegram bots", ":AA", Id::VendorToken, Own(telegram), "{d10}:AA{w33}"),
    row("Twilio", "SK", Id::VendorToken, Exactly(32, is_hex), "SK{h32}"),
    row("SendGrid", "SG.", Id::VendorToken, Own(sendgrid), "SG.{w22}.{w43}"),
    row("Mailgun", "key-", Id::VendorToken, Exactly(32, is_hex), "key-{h32}"),
    row("Mailchimp", "us1", Id::VendorToken, Own(mailchimp), "{h32}-us1"),
    row("Mailchimp", "us2", Id::VendorToken, Own(mailchimp), "{h32}-us2"),
    row("Mailchimp", "us3", Id::VendorToken, Own(mailchimp), "{h32}-us3"),
    row("Mailchimp", "us4", Id::VendorToken, Own(mailchimp), "{h32}-us4"),
    row("Mailchimp", "us5", Id::VendorToken, Own(mailchimp), "{h32}-us5"),
    row("Mailchimp", "us6", Id::VendorToken, Own(mailchimp), "{h32}-us6"),
    row("Mailchimp", "us7", Id::VendorToken, Own(mailchimp), "{h32}-us7"),
    row("Mailchimp", "us8", Id::VendorToken, Own(mailchimp), "{h32}-us8"),
    row("Mailchimp", "us9", Id::VendorToken, Own(mailchimp), "{h32}-us9"),
    row("Brevo", "xkeysib-", Id::VendorToken, Parts(&[Run(64, 64, is_hex), Sign("-"), Run(16, 16, is_alnum)]), "xkeysib-{h64}-{a16}"),
    row("Brevo", "xsmtpsib-", Id::VendorToken, Parts(&[Run(64, 64, is_hex), Sign("-"), Run(16, 16, is_alnum)]), "xsmtpsib-{h64}-{a16}"),
    row("Facebook", "EAA", Id::VendorToken, AtLeast(80, is_alnum), "EAAC{a160}"),
    row("Twitter", "AAAAAAAAAAAAAAAAAAAAA", Id::VendorToken, AtLeast(40, is_percent), "AAAAAAAAAAAAAAAAAAAAA{a30}%3D{a50}"),
    row("Typeform", "tfp_", Id::VendorToken, AtLeast(40, is_word_or_hyphen), "tfp_{w59}"),
    row("HubSpot", "pat-na", Id::VendorToken, Own(hubspot), "pat-na1-{h8}-{h4}-{h4}-{h4}-{h12}"),
    row("HubSpot", "pat-eu", Id::VendorToken, Own(hubspot), "pat-eu1-{h8}-{h4}-{h4}-{h4}-{h12}"),
    row("Airtable", "pat", Id::VendorToken, Parts(&[Run(14, 14, is_alnum), Sign("."), Run(64, 64, is_hex)]), "pat{a14}.{h64}"),
    row("Notion", "ntn_", Id::VendorToken, Exactly(46, is_alnum), "ntn_{a46}"),
    row("Notion", "secret_", Id::VendorToken, Exactly(43, is_alnum), "secret_{a43}"),
    row("Dropbox", "sl.u.", Id::VendorToken, AtLeast(60, is_word_or_hyphen), "sl.u.{w140}"),
    row("Dropbox", "sl.", Id::VendorToken, AtLeast(60, is_word_or_hyphen), "sl.{w140}"),
    row("Salesforce", "00D", Id::VendorToken, Own(salesforce), "00D{a12}!{a96}"),
    row("Okta", "00", Id::VendorToken, Own(okta), "00{w40}"),
    row("Frame.io", "fio-u-", Id::VendorToken, AtLeast(60, is_word_or_hyphen), "fio-u-{w64}"),
    row("Mapbox", "sk.eyJ", Id::VendorToken, Parts(&[Run(30, 200, is_word_or_hyphen), Sign("."), Run(20, 30, is_word_or_hyphen)]), "sk.eyJ{w80}.{w22}"),
    row("Adobe", "p8e-", Id::VendorToken, AtLeast(32, is_alnum), "p8e-{a32}"),
];
