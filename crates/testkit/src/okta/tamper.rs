//! What can be wrong with an ID token (threat 21). How each wrong one is made is in
//! [`super::mint`].

/// What is wrong with an ID token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tamper {
    WrongIssuer,
    IssuerWithSlash,
    NoIssuer,
    WrongAudience,
    NoAudience,
    /// Ours among others, without `azp`.
    SeveralAudiences,
    /// Ours among others, with the `azp` of another client.
    WrongParty,
    WrongNonce,
    NoNonce,
    NoSubject,
    EmptySubject,
    Expired,
    NoExpiry,
    /// `exp` as a text, far in the future.
    TextExpiry,
    NoIssuedAt,
    TextIssuedAt,
    IssuedInTenMinutes,
    IssuedAnHourAgo,
    NotYetValid,
    TextNotBefore,
    /// `alg: none` and no signature.
    AlgNone,
    /// HS256, keyed with the public key of the real key.
    Hs256WithPublicKey,
    /// HS256, keyed with the client secret.
    Hs256WithClientSecret,
    /// An algorithm that the metadata does not offer, with the right key.
    Rs512,
    /// A `kid` that is not published, signed with its key.
    UnknownKid,
    /// A published `kid`, signed with another key.
    WrongKey,
    /// No `kid` at all, signed with an unpublished key.
    WrongKeyNoKid,
    /// Signed with a key that the header brings along.
    EmbeddedKey,
    /// Signed with a key that the header points to.
    LinkedKey,
    /// Another subject after signing.
    ChangedAfterSigning,
    NoSignature,
    /// `typ` of an access token.
    WrongType,
    /// A critical header extension.
    Critical,
    /// `sub` twice.
    DoubledClaim,
    NotAToken,
    /// A JWE.
    Encrypted,
    /// Not wrong: the `kid` is left out and the key is right.
    NoKid,
    /// Not wrong: `aud` is a list of just us.
    ListedAudience,
    /// Not wrong: `exp` and `iat` with fractions.
    FractionalTimes,
    /// Not wrong: several audiences, and `azp` is us.
    RightParty,
}
