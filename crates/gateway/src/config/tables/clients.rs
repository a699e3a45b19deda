//! The keys of `clients` in `config.yaml`. The others stand in [`super`].

use crate::config::shape::{Field, Shape, Table};

pub(super) const CLIENTS: Table = Table {
    doc: "OAuth clients",
    one_of: &[],
    fields: &[
        Field::new(
            "registration",
            Shape::Table(&REGISTRATION),
            "Clients that register themselves (RFC 7591)",
        ),
        Field::new(
            "metadata_documents",
            Shape::Table(&METADATA_DOCUMENTS),
            "Clients whose id is the URL of a document that describes them",
        ),
        Field::new(
            "redirect_schemes",
            Shape::Table(&REDIRECT_SCHEMES),
            "Private-use schemes at which clients may be answered, beside those with a dot and those of well-known applications",
        ),
        Field::new(
            "families",
            Shape::List(&Shape::Table(&FAMILY)),
            "Kinds of clients with switches of their own",
        ),
        Field::new(
            "configured",
            Shape::List(&Shape::Table(&CONFIGURED)),
            "Clients known beforehand; they are never stored",
        ),
    ],
};

const REGISTRATION: Table = Table {
    doc: "Clients that register themselves (RFC 7591)",
    one_of: &[],
    fields: &[
        Field::new("enabled", Shape::Flag, "May clients register? Default: true"),
        Field::new(
            "max_unused",
            Shape::Count,
            "Registered clients that were never used, at most: one more drives out the oldest of the address that has most. Default: 10000",
        ),
    ],
};

const METADATA_DOCUMENTS: Table = Table {
    doc: "Clients whose id is the URL of a document that describes them",
    one_of: &[],
    fields: &[
        Field::new("enabled", Shape::Flag, "Are such clients accepted? Default: true"),
        Field::new(
            "domains",
            Shape::List(&Shape::Text),
            "Whose documents: app.example, or *.app.example for every host below it. Default: anybody's",
        ),
        Field::new(
            "proxy",
            Shape::Secret,
            "An HTTP proxy for fetching documents and key sets, http://host:port, where this gateway has no direct way to the Internet. Default: none",
        )
        .variables(&["METADATA_DOCUMENTS_PROXY"]),
    ],
};

const REDIRECT_SCHEMES: Table = Table {
    doc: "Schemes of redirect URIs",
    one_of: &[],
    fields: &[
        Field::new("add", Shape::List(&Shape::Text), "Allowed too, such as acme-editor"),
        Field::new(
            "remove",
            Shape::List(&Shape::Text),
            "Not allowed, known or not; of clients that have registered them, too",
        ),
    ],
};

const FAMILY: Table = Table {
    doc: "Clients that belong together. One that is kept out is known by any of the marks, one that is let in by all of them",
    one_of: &[],
    fields: &[
        Field::new("name", Shape::Text, "What to call the family in messages").required(),
        Field::new(
            "client_name",
            Shape::Text,
            "How the names of its clients start, in any case of letters",
        ),
        Field::new(
            "redirect_schemes",
            Shape::List(&Shape::Text),
            "Schemes of their redirect URIs, such as cursor",
        ),
        Field::new(
            "redirect_hosts",
            Shape::List(&Shape::Text),
            "Hosts of their https redirect URIs, such as claude.ai",
        ),
        Field::new("registration", Shape::Flag, "May they register? Default: as everybody"),
        Field::new(
            "metadata_documents",
            Shape::Flag,
            "Are their documents accepted? Default: as everybody's",
        ),
    ],
};

const AUTH_METHODS: &[&str] =
    &["none", "client_secret_basic", "client_secret_post", "private_key_jwt"];
const GRANT_TYPES: &[&str] = &["authorization_code", "refresh_token", "client_credentials"];

const CONFIGURED: Table = Table {
    doc: "A client known beforehand",
    one_of: &[],
    fields: &[
        Field::new("client_id", Shape::Text, "Its id: letters, digits, `-`, `_`, `.`, `~`")
            .required(),
        Field::new("name", Shape::Text, "What the consent page calls it"),
        Field::new(
            "redirect_uris",
            Shape::List(&Shape::Text),
            "Where people are sent back to; needed for authorization_code",
        ),
        Field::new(
            "auth_method",
            Shape::Choice(AUTH_METHODS),
            "How it proves itself. Default: by what is given of the following",
        ),
        Field::new("secret", Shape::Secret, "Its secret: 32 bytes at least"),
        Field::new("secret_file", Shape::Text, "A file that holds the secret"),
        Field::new(
            "secret_sha256",
            Shape::Secret,
            "The SHA-256 of the secret in hexadecimal, in place of the secret",
        ),
        Field::new("jwks", Shape::Text, "Its public keys: a JWK Set as JSON"),
        Field::new("jwks_file", Shape::Text, "A file that holds the JWK Set"),
        Field::new("jwks_uri", Shape::Text, "The https URL of the JWK Set"),
        Field::new(
            "grant_types",
            Shape::List(&Shape::Choice(GRANT_TYPES)),
            "What it may ask for. Default: authorization_code and refresh_token",
        ),
        Field::new(
            "scopes",
            Shape::List(&Shape::Text),
            "The scopes it may ask for. Default: every one there is",
        ),
        Field::new(
            "groups",
            Shape::List(&Shape::Text),
            "client_credentials: the groups it is in, for policy",
        ),
        Field::new("trusted", Shape::Flag, "May it introspect every token? Default: false"),
    ],
};
