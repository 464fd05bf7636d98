//! Models and their platforms.

use super::{row, Row};
use crate::catalog::Id;
use crate::detect::token::form::Form::{AtLeast, Exactly, Own, Parts};
use crate::detect::token::form::Part::{Run, Sign};
use crate::detect::token::form::{is_alnum, is_hex, is_word_or_hyphen, openai, UUID};

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
    row(
        "Tavily",
        "tvly-dev-",
        Id::VendorToken,
        Exactly(32, is_alnum),
        "tvly-dev-{a32}",
    ),
    row(
        "Cerebras",
        "csk-",
        Id::VendorToken,
        Exactly(48, is_alnum),
        "csk-{a48}",
    ),
    row(
        "Jina",
        "jina_",
        Id::VendorToken,
        Exactly(64, is_alnum),
        "jina_{a64}",
    ),
    row(
        "LangSmith",
        "lsv2_pt_",
        Id::VendorToken,
        Parts(&[Run(32, 32, is_hex), Sign("_"), Run(10, 10, is_hex)]),
        "lsv2_pt_{h32}_{h10}",
    ),
    row(
        "LangSmith",
        "lsv2_sk_",
        Id::VendorToken,
        Parts(&[Run(32, 32, is_hex), Sign("_"), Run(10, 10, is_hex)]),
        "lsv2_sk_{h32}_{h10}",
    ),
    row(
        "Langfuse",
        "sk-lf-",
        Id::VendorToken,
        Parts(UUID),
        "sk-lf-{h8}-{h4}-{h4}-{h4}-{h12}",
    ),
    row(
        "E2B",
        "e2b_",
        Id::VendorToken,
        Exactly(40, is_hex),
        "e2b_{h40}",
    ),
    row(
        "Firecrawl",
        "fc-",
        Id::VendorToken,
        Exactly(32, is_hex),
        "fc-{h32}",
    ),
    row(
        "RunPod",
        "rpa_",
        Id::VendorToken,
        Exactly(46, is_alnum),
        "rpa_{a46}",
    ),
    row(
        "Together",
        "tgp_v1_",
        Id::VendorToken,
        Exactly(43, is_word_or_hyphen),
        "tgp_v1_{w43}",
    ),
];
