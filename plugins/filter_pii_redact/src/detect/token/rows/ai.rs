//! Models and their platforms.

use super::{row, Row};
use crate::catalog::Id;
use crate::detect::token::form::Form::{AtLeast, Exactly, Own};
use crate::detect::token::form::{is_alnum, is_hex, is_word_or_hyphen, openai};

pub(super) const ROWS: &[Row] = &[
    row(
        "OpenAI and the like",
        "sk-",
        Id::OpenaiKey,
        Own(openai),
        "sk-proj-{w74}T3BlbkFJ{w74}",
    ),
    row(
        "Hugging Face",
        "hf_",
        Id::VendorToken,
        Exactly(34, is_alnum),
        "hf_{a34}",
    ),
    row(
        "Hugging Face",
        "api_org_",
        Id::VendorToken,
        Exactly(34, is_alnum),
        "api_org_{a34}",
    ),
    row(
        "Groq",
        "gsk_",
        Id::VendorToken,
        AtLeast(48, is_alnum),
        "gsk_{a52}",
    ),
    row(
        "xAI",
        "xai-",
        Id::VendorToken,
        AtLeast(60, is_alnum),
        "xai-{a80}",
    ),
    row(
        "Perplexity",
        "pplx-",
        Id::VendorToken,
        AtLeast(40, is_alnum),
        "pplx-{a48}",
    ),
    row(
        "Replicate",
        "r8_",
        Id::VendorToken,
        Exactly(37, is_alnum),
        "r8_{a37}",
    ),
    row(
        "NVIDIA",
        "nvapi-",
        Id::VendorToken,
        AtLeast(50, is_word_or_hyphen),
        "nvapi-{w64}",
    ),
    row(
        "Pinecone",
        "pcsk_",
        Id::VendorToken,
        AtLeast(50, is_word_or_hyphen),
        "pcsk_{w70}",
    ),
    row(
        "ElevenLabs",
        "sk_",
        Id::VendorToken,
        Exactly(48, is_hex),
        "sk_{h48}",
    ),
    row(
        "Voyage",
        "pa-",
        Id::VendorToken,
        AtLeast(40, is_word_or_hyphen),
        "pa-{w43}",
    ),
];
