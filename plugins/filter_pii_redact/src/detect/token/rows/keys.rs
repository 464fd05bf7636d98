//! Private keys and tokens of standards.

use super::{row, Row};
use crate::catalog::Id;
use crate::detect::token::form::Form::{AtLeast, Exactly, Own, Parts};
use crate::detect::token::form::Part::{Run, Sign};
use crate::detect::token::form::{
    is_alnum, is_base64, is_digit, is_upper, is_word_or_hyphen, jwt, private_key,
};
use crate::detect::token::hash::crypt;
use crate::detect::token::vendor::{ansible_vault, jwk, jwk_oct, putty, ssh2};

pub(super) const ROWS: &[Row] = &[
    row(
        "PEM private keys",
        "-----BEGIN ",
        Id::PrivateKey,
        Own(private_key),
        "-----BEGIN PRIVATE KEY-----",
    ),
    row(
        "PEM private keys in base64",
        "LS0tLS1CRUdJTi",
        Id::PrivateKey,
        AtLeast(40, is_base64),
        "LS0tLS1CRUdJTi{b60}",
    ),
    row(
        "SSH2 private keys",
        "---- BEGIN SSH2 ENCRYPTED PRIVATE KEY",
        Id::PrivateKey,
        Own(ssh2),
        "---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----\n{b60}",
    ),
    row(
        "PuTTY private keys",
        "PuTTY-User-Key-File-",
        Id::PrivateKey,
        Own(putty),
        "PuTTY-User-Key-File-3: ssh-rsa\nPrivate-Lines: 1\n{b60}\nPrivate-MAC: 0",
    ),
    row(
        "private keys as JSON (JWK)",
        "\"d\":\"",
        Id::Secret,
        Own(jwk),
        "{\"kty\":\"EC\",\"d\":\"{w43}\"}",
    ),
    row(
        "private keys as JSON (JWK)",
        "\"d\": \"",
        Id::Secret,
        Own(jwk),
        "{\"kty\": \"EC\", \"d\": \"{w43}\"}",
    ),
    row(
        "symmetric keys as JSON (JWK)",
        "\"k\":\"",
        Id::Secret,
        Own(jwk_oct),
        "{\"kty\":\"oct\",\"k\":\"{w43}\"}",
    ),
    row(
        "symmetric keys as JSON (JWK)",
        "\"k\": \"",
        Id::Secret,
        Own(jwk_oct),
        "{\"kty\": \"oct\", \"k\": \"{w43}\"}",
    ),
    row(
        "JSON web tokens",
        "eyJ",
        Id::Jwt,
        Own(jwt),
        "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.{w40}.{w43}",
    ),
    row(
        "age",
        "AGE-SECRET-KEY-1",
        Id::VendorToken,
        Exactly(58, is_alnum),
        "AGE-SECRET-KEY-1{u58}",
    ),
    row(
        "secrets as Ansible encrypts them",
        "$ANSIBLE_VAULT;",
        Id::Secret,
        Own(ansible_vault),
        "$ANSIBLE_VAULT;1.1;AES256\n{h80}",
    ),
    row(
        "hashes of passwords (crypt)",
        "$",
        Id::Secret,
        Own(crypt),
        "$2b$12${a53}",
    ),
    row(
        "hashes of passwords (Django)",
        "pbkdf2_sha256$",
        Id::Secret,
        Parts(&[
            Run(3, 8, is_digit),
            Sign("$"),
            Run(8, 64, is_alnum),
            Sign("$"),
            Run(40, 48, is_base64),
        ]),
        "pbkdf2_sha256$600000${a22}${a44}",
    ),
    row(
        "1Password",
        "A3-",
        Id::VendorToken,
        Parts(&[
            Run(6, 6, is_upper),
            Sign("-"),
            Run(6, 6, is_upper),
            Sign("-"),
            Run(5, 5, is_upper),
            Sign("-"),
            Run(5, 5, is_upper),
            Sign("-"),
            Run(5, 5, is_upper),
            Sign("-"),
            Run(5, 5, is_upper),
        ]),
        "A3-{u6}-{u6}-{u5}-{u5}-{u5}-{u5}",
    ),
    row(
        "Ory",
        "ory_pat_",
        Id::VendorToken,
        AtLeast(32, is_word_or_hyphen),
        "ory_pat_{a32}",
    ),
];
