//! The table of built-in detectors: names, placeholders, presets, precedence.

/// Bits of [`Detector::presets`].
pub(crate) mod preset {
    /// Payment card industry.
    pub(crate) const PCI: u8 = 1;
    /// Personal data in Europe.
    pub(crate) const GDPR: u8 = 2;
    /// Health care in the United States.
    pub(crate) const HIPAA: u8 = 4;
    /// Credentials.
    pub(crate) const SECRETS: u8 = 8;
    /// What is on without any option.
    pub(crate) const DEFAULT: u8 = 16;
    /// Everything.
    pub(crate) const ALL: u8 = 32;

    /// Preset by its name in the configuration.
    pub(crate) fn by_name(name: &str) -> Option<u8> {
        Some(match name {
            "pci" => PCI,
            "gdpr" => GDPR,
            "hipaa" => HIPAA,
            "secrets" => SECRETS,
            "default" => DEFAULT,
            "all" => ALL,
            "none" => 0,
            _ => return None,
        })
    }
}

macro_rules! detectors {
    ($($id:ident $name:literal $placeholder:literal $form:ident [$($preset:ident)*] $check:literal;)*) => {
        /// A built-in detector. The order is the precedence between matches of one span.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        #[repr(u8)]
        pub(crate) enum Id { $(#[doc = $check] $id,)* }

        /// Every detector, in the order of [`Id`].
        pub(crate) const DETECTORS: &[Detector] = &[$(Detector {
            id: Id::$id,
            name: $name,
            placeholder: $placeholder,
            form: Form::$form,
            presets: preset::ALL $(| preset::$preset)*,
            check: $check,
        },)*];
    };
}

/// How values are brought into one form before they are hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// As they are.
    Verbatim,
    /// Letters and digits only, in capitals: grouping does not matter.
    Compact,
    /// In lower case.
    Lower,
    /// As the address is written canonically (RFC 5952): an IPv6 address has many spellings.
    Address,
}

/// One row of the table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Detector {
    pub(crate) id: Id,
    /// Name in the configuration and in the counters.
    pub(crate) name: &'static str,
    /// What a match becomes by default.
    pub(crate) placeholder: &'static str,
    pub(crate) form: Form,
    /// Bits of [`preset`].
    pub(crate) presets: u8,
    /// What a match must pass, as the README has it.
    #[cfg_attr(not(test), allow(dead_code))]
    pub(crate) check: &'static str,
}

detectors! {
    PrivateKey "private_key" "[PRIVATE_KEY]" Verbatim [SECRETS DEFAULT] "PEM armour with a private key label, up to its END line or the end of the string";
    UrlCredentials "url_credentials" "[URL_CREDENTIALS]" Verbatim [SECRETS HIPAA DEFAULT] "scheme://user:password@host (RFC 3986); scheme and host stay";
    Jwt "jwt" "[JWT]" Verbatim [SECRETS DEFAULT] "header decodes to JSON with \"alg\" or \"enc\" (RFC 7519)";
    AwsKey "aws_key" "[AWS_KEY]" Verbatim [SECRETS DEFAULT] "AKIA, ASIA, ABIA or ACCA + 16 of base32; no example of repeated characters";
    GcpKey "gcp_key" "[GCP_KEY]" Verbatim [SECRETS DEFAULT] "AIza + 35, ya29., GOCSPX- + 28; entropy";
    AzureKey "azure_key" "[AZURE_KEY]" Verbatim [SECRETS DEFAULT] "AccountKey= or SharedAccessKey= + base64 of 32 or 64 bytes; client secrets with Q~";
    GithubToken "github_token" "[GITHUB_TOKEN]" Verbatim [SECRETS DEFAULT] "gh[pousr]_ + 36 with CRC-32 or high entropy, github_pat_ + 22 + 59";
    GitlabToken "gitlab_token" "[GITLAB_TOKEN]" Verbatim [SECRETS DEFAULT] "glpat- and the other prefixes of GitLab + 20 or more; entropy";
    SlackToken "slack_token" "[SLACK_TOKEN]" Verbatim [SECRETS DEFAULT] "xox[abeprs]-, xapp- with number groups, hooks.slack.com/services/";
    StripeKey "stripe_key" "[STRIPE_KEY]" Verbatim [SECRETS DEFAULT] "sk_, rk_, pk_ + live_ or test_, whsec_; length and entropy";
    NpmToken "npm_token" "[NPM_TOKEN]" Verbatim [SECRETS DEFAULT] "npm_ + 36 with CRC-32 or high entropy";
    PypiToken "pypi_token" "[PYPI_TOKEN]" Verbatim [SECRETS DEFAULT] "pypi-AgEIcHlwaS5vcmc or the test index + 50 or more (macaroon header)";
    OpenaiKey "openai_key" "[OPENAI_KEY]" Verbatim [SECRETS DEFAULT] "sk-, sk-proj-, sk-svcacct-, sk-ant-, sk-or- + 32 or more; marker or entropy";
    VendorToken "vendor_token" "[VENDOR_TOKEN]" Verbatim [SECRETS DEFAULT] "tokens of some thirty other services by prefix, length and entropy: hf_, dop_v1_, SG., shpat_, dapi, hvs., figd_, ...";
    Btc "btc" "[BTC]" Verbatim [DEFAULT] "Base58Check with a known version byte; Bech32 and Bech32m checksums (BIP-173, BIP-350)";
    Eth "eth" "[ETH]" Verbatim [DEFAULT] "0x + 40 hexadecimal digits; EIP-55 checksum where the case is mixed";
    Iban "iban" "[IBAN]" Compact [PCI GDPR DEFAULT] "length and structure per country, mod 97 (ISO 13616); of another length with a keyword";
    CodiceFiscale "codice_fiscale" "[CODICE_FISCALE]" Compact [GDPR DEFAULT] "16 characters, month letter, day, check letter (DM 23/12/1976)";
    Nino "nino" "[NINO]" Compact [GDPR DEFAULT] "two letters of the allocated prefixes, six digits, A to D";
    InPan "in_pan" "[IN_PAN]" Compact [DEFAULT] "five letters, four digits, a letter; holder type in the fourth";
    Dea "dea" "[DEA]" Compact [HIPAA DEFAULT] "registrant type, letter, weighted check digit";
    Dni "dni" "[DNI]" Compact [GDPR DEFAULT] "eight digits and the letter of mod 23";
    Nie "nie" "[NIE]" Compact [GDPR DEFAULT] "X, Y or Z, seven digits and the letter of mod 23";
    Aba "aba" "[ABA]" Compact [PCI HIPAA DEFAULT] "keyword, prefix range, weights 3-7-1";
    Npi "npi" "[NPI]" Compact [HIPAA DEFAULT] "keyword, Luhn with the prefix 80840";
    Nhs "nhs" "[NHS]" Compact [GDPR DEFAULT] "keyword, mod 11";
    Sin "sin" "[SIN]" Compact [DEFAULT] "Luhn; grouped by hyphens, or a keyword";
    Cpf "cpf" "[CPF]" Compact [DEFAULT] "two check digits of mod 11; punctuated, or a keyword";
    Cnpj "cnpj" "[CNPJ]" Compact [DEFAULT] "two check digits of mod 11; punctuated, or a keyword";
    DeTax "de_tax_id" "[DE_TAX_ID]" Compact [GDPR DEFAULT] "ISO 7064 mod 11,10 and the rule of repeated digits; grouped, or a keyword";
    Card "card" "[CARD]" Compact [PCI GDPR HIPAA DEFAULT] "issuer prefix, length, grouping, boundary, Luhn (ISO/IEC 7812-1)";
    Aadhaar "aadhaar" "[AADHAAR]" Compact [DEFAULT] "Verhoeff; grouped 4-4-4, or a keyword";
    Nir "nir" "[NIR]" Compact [GDPR DEFAULT] "sex, month and department, key of mod 97";
    Ssn "ssn" "[SSN]" Compact [HIPAA DEFAULT] "area, group and serial that can be issued; grouped 3-2-4, or a keyword";
    Itin "itin" "[ITIN]" Compact [HIPAA DEFAULT] "area 900 to 999 with an ITIN group; grouped 3-2-4, or a keyword";
    Email "email" "[EMAIL]" Lower [GDPR HIPAA DEFAULT] "dot-atom or quoted string, label and total lengths, IP addresses in brackets (RFC 5321, RFC 1035)";
    Phone "phone" "[PHONE]" Compact [GDPR HIPAA DEFAULT] "calling code and length (E.164), national plan of phone_country, a trunk prefix, or a keyword";
    Ip "ip" "[IP]" Address [GDPR HIPAA] "four octets, or IPv6 as std::net parses it; reserved ranges optional";
    Mac "mac" "[MAC]" Compact [GDPR HIPAA] "six octets, one separator, not all zero or all ones";
    Password "password" "[PASSWORD]" Verbatim [SECRETS DEFAULT] "value behind a password keyword that is no placeholder, variable or common word";
    Secret "secret" "[SECRET]" Verbatim [SECRETS DEFAULT] "value behind a key, token or Authorization keyword with the entropy of a credential";
}

impl Id {
    /// Bit in a [`Set`].
    pub(crate) const fn bit(self) -> u64 {
        1 << self as u8
    }
}

/// Detector by its name in the configuration.
pub(crate) fn by_name(name: &str) -> Option<&'static Detector> {
    DETECTORS.iter().find(|d| d.name.eq_ignore_ascii_case(name))
}

/// A set of detectors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Set(pub(crate) u64);

impl Set {
    /// The detectors of the presets in `bits`.
    pub(crate) fn preset(bits: u8) -> Self {
        let rows = DETECTORS.iter().filter(|d| d.presets & bits != 0);
        Set(rows.fold(0, |set, d| set | d.id.bit()))
    }

    pub(crate) fn has(self, id: Id) -> bool {
        self.0 & id.bit() != 0
    }

    pub(crate) fn any(self, ids: &[Id]) -> bool {
        ids.iter().any(|id| self.has(*id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_in_the_order_of_their_ids_and_names_are_unique() {
        for (index, row) in DETECTORS.iter().enumerate() {
            assert_eq!(row.id as usize, index);
            assert_eq!(by_name(row.name).unwrap().id, row.id);
            assert!(row.placeholder.starts_with('[') && row.placeholder.ends_with(']'));
        }
    }

    #[test]
    fn the_default_is_all_but_ip_and_mac() {
        let default = Set::preset(preset::DEFAULT);
        let all = Set::preset(preset::ALL);
        assert_eq!(all.0 & !default.0, Id::Ip.bit() | Id::Mac.bit());
    }
}
