//! Allow-lists: matches that stay as they are.

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use regex::bytes::RegexSet;

use crate::catalog::Id;

/// A network in CIDR notation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Network {
    address: u128,
    mask: u128,
    v4: bool,
}

impl Network {
    /// Reads `192.0.2.0/24`, `2001:db8::/32` or a single address.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits.parse::<u32>().ok()?)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().ok()?;
        let (number, v4, width) = number(address);
        let bits = bits.unwrap_or(width);
        if bits > width {
            return None;
        }
        let mask = u128::MAX.checked_shl(width - bits).unwrap_or(0);
        Some(Network {
            address: number & mask,
            mask,
            v4,
        })
    }

    fn contains(&self, address: IpAddr) -> bool {
        let (number, v4, _) = number(address);
        v4 == self.v4 && number & self.mask == self.address
    }
}

fn number(address: IpAddr) -> (u128, bool, u32) {
    match address {
        IpAddr::V4(v4) => (u128::from(u32::from(v4)), true, 32),
        IpAddr::V6(v6) => (u128::from(v6), false, 128),
    }
}

/// All allow-lists. Empty by default.
#[derive(Debug, Default)]
pub(crate) struct Allow {
    pub(crate) exact: HashSet<Vec<u8>>,
    pub(crate) prefixes: Vec<Vec<u8>>,
    pub(crate) suffixes: Vec<Vec<u8>>,
    pub(crate) regexes: RegexSet,
    pub(crate) networks: Vec<Network>,
    /// In lower case, without a leading dot or `@`.
    pub(crate) email_domains: Vec<Vec<u8>>,
    /// Digits only.
    pub(crate) cards: HashSet<Vec<u8>>,
}

impl Allow {
    /// Whether the match `value` of the rule with number `rule` stays.
    pub(crate) fn allows(&self, rule: u16, value: &[u8]) -> bool {
        self.exact.contains(value)
            || self.prefixes.iter().any(|p| value.starts_with(p))
            || self.suffixes.iter().any(|s| value.ends_with(s))
            || (!self.regexes.is_empty() && self.regexes.is_match(value))
            || (rule == Id::Ip as u16 && self.allows_ip(value))
            || (rule == Id::Email as u16 && self.allows_email(value))
            || (rule == Id::Card as u16 && self.allows_card(value))
    }

    fn allows_ip(&self, value: &[u8]) -> bool {
        if self.networks.is_empty() {
            return false;
        }
        let Ok(text) = std::str::from_utf8(value) else {
            return false;
        };
        let address = text
            .parse::<Ipv4Addr>()
            .map(IpAddr::from)
            .or_else(|_| text.parse::<Ipv6Addr>().map(IpAddr::from));
        address.is_ok_and(|a| self.networks.iter().any(|n| n.contains(a)))
    }

    fn allows_email(&self, value: &[u8]) -> bool {
        let Some(at) = memchr::memrchr(b'@', value) else {
            return false;
        };
        let domain = value[at + 1..].to_ascii_lowercase();
        self.email_domains.iter().any(|allowed| {
            domain
                .strip_suffix(allowed.as_slice())
                .is_some_and(|rest| rest.is_empty() || rest.ends_with(b"."))
        })
    }

    fn allows_card(&self, value: &[u8]) -> bool {
        if self.cards.is_empty() {
            return false;
        }
        let digits: Vec<u8> = value.iter().copied().filter(u8::is_ascii_digit).collect();
        self.cards.contains(&digits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_contain_their_addresses_only() {
        let network = Network::parse("10.1.0.0/16").unwrap();
        assert!(network.contains("10.1.2.3".parse().unwrap()));
        assert!(!network.contains("10.2.2.3".parse().unwrap()));
        assert!(!network.contains("::a01:203".parse().unwrap()));
        assert!(Network::parse("2001:db8::/32")
            .unwrap()
            .contains("2001:db8::1".parse().unwrap()));
        assert!(Network::parse("0.0.0.0/0")
            .unwrap()
            .contains("8.8.8.8".parse().unwrap()));
        for text in ["10.0.0.0/33", "10.0.0/8", "x", "10.0.0.0/-1"] {
            assert_eq!(Network::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_domain_allows_its_subdomains_and_no_lookalike() {
        let allow = Allow {
            email_domains: vec![b"example.com".to_vec()],
            ..Allow::default()
        };
        assert!(allow.allows(Id::Email as u16, b"a@example.com"));
        assert!(allow.allows(Id::Email as u16, b"a@mail.Example.com"));
        assert!(!allow.allows(Id::Email as u16, b"a@notexample.com"));
        assert!(!allow.allows(Id::Card as u16, b"a@example.com"));
    }
}
