//! Cases for what a token proves.

use super::*;
use crate::{
    entropy::SeededEntropy,
    oauth::token::samples::{NOW, client_address, current, family, forged, found_refresh},
};

fn rotated(found: &FoundRefresh, times: u32) -> FoundRefresh {
    let lifetimes = Lifetimes::default();
    let rotate = |family: RefreshFamily, _| {
        family.rotated(&found.grant, client_address(), NOW, &lifetimes).unwrap()
    };
    let family = (0..times).fold(found.family.clone().unwrap(), rotate);
    FoundRefresh { family: Some(family), ..found.clone() }
}

#[test]
fn tokens_look_as_they_always_did_and_any_change_is_seen() {
    let text = family().token().expose().to_owned();
    assert!(text.starts_with("ptn_rt_") && text.len() == 7 + 64 + 6, "{text}");
    assert!(PresentedRefresh::parse(&text).is_some());
    let earlier = TokenSecret::generate(TokenKind::Refresh, &SeededEntropy::new(1));
    assert_eq!(
        PresentedRefresh::parse(earlier.expose()).unwrap().key(),
        RefreshKey::Earlier(earlier.hash())
    );
    let access = TokenSecret::generate(TokenKind::Access, &SeededEntropy::new(1));
    for other in [
        access.expose(),
        "",
        "ptn_rt_",
        "ptn_rt_x",
        "ptn_rt_äöü",
        &format!("{text}="),
        &format!(" {text}"),
    ] {
        assert!(PresentedRefresh::parse(other).is_none(), "{other}");
    }
    for at in 0..text.len() {
        assert!(PresentedRefresh::parse(&text[..at]).is_none(), "cut at {at}");
        let mut typo = text.clone().into_bytes();
        typo[at] = if typo[at] == b'a' { b'b' } else { b'a' };
        assert!(
            PresentedRefresh::parse(&String::from_utf8(typo).unwrap()).is_none(),
            "mistyped at {at}"
        );
    }
}

#[test]
fn t17_each_generation_proves_itself_and_nothing_else_does() {
    let first = found_refresh();
    let sent = current(&first);
    assert_eq!(first.status(&sent), RefreshStatus::Current);
    let later = rotated(&first, 3);
    assert_eq!(later.status(&sent), RefreshStatus::Used { generations: 3, at: Some(NOW) });
    assert_eq!(later.status(&current(&later)), RefreshStatus::Current);
    assert_eq!(
        later.status(&current(&rotated(&first, 2))),
        RefreshStatus::Used { generations: 1, at: Some(NOW) }
    );
    // Of a family that was restored from before it.
    assert_eq!(
        first.status(&current(&later)),
        RefreshStatus::Unknown,
        "a generation that has not come"
    );
    for made_up in [forged(&first), forged(&later), forged(&rotated(&first, 1))] {
        assert_eq!(later.status(&made_up), RefreshStatus::Unknown);
    }
    for bit in 0..TAG * 8 {
        let mut guess = sent.clone();
        guess.tag[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(later.status(&guess), RefreshStatus::Unknown, "bit {bit}");
    }
    for generation in [1, 2, 3, 4, u32::MAX] {
        let guess = PresentedRefresh { generation, ..sent.clone() };
        assert_eq!(
            later.status(&guess),
            RefreshStatus::Unknown,
            "the proof of one is none of another: {generation}"
        );
    }
    let other_family =
        RefreshFamily { id: FamilyId::from_bytes([7; 16]), ..later.family.clone().unwrap() };
    let stolen = FoundRefresh { family: Some(other_family), ..later.clone() };
    assert_eq!(
        stolen.status(&sent),
        RefreshStatus::Unknown,
        "of another family, even with its secret"
    );
    let none = FoundRefresh { family: None, ..later };
    assert_eq!(none.status(&sent), RefreshStatus::Unknown);
}

#[test]
fn tokens_of_before_there_were_families_are_the_first_generation() {
    let sent = PresentedRefresh {
        key: RefreshKey::Earlier(TokenHash::of("x")),
        generation: 0,
        tag: [0; TAG],
    };
    let earlier = |used_at| Some(EarlierRefresh { expires_at: NOW, used_at });
    let alone =
        |used_at| FoundRefresh { family: None, earlier: earlier(used_at), ..found_refresh() };
    assert_eq!(alone(None).status(&sent), RefreshStatus::Current);
    assert_eq!(
        alone(Some(NOW)).status(&sent),
        RefreshStatus::Used { generations: 1, at: Some(NOW) }
    );
    let succeeded =
        |used_at| FoundRefresh { earlier: earlier(used_at), ..rotated(&found_refresh(), 2) };
    assert_eq!(
        succeeded(None).status(&sent),
        RefreshStatus::Used { generations: 2, at: Some(NOW) }
    );
    let before = NOW - std::time::Duration::from_secs(9);
    assert_eq!(
        succeeded(Some(before)).status(&sent),
        RefreshStatus::Used { generations: 2, at: Some(before) }
    );
}

#[test]
fn t17_the_current_pair_can_be_made_again_and_no_other() {
    let found = rotated(&found_refresh(), 1);
    let (lifetimes, entropy) = (Lifetimes::default(), SeededEntropy::new(3));
    let mut family = found.family.unwrap();
    let [resource, other] =
        ["https://gw.example/mcp", "https://gw.example/mcp/dice"].map(Resource::from_stored);
    let [scopes, narrow] = ["mcp", "dice"].map(|text| ScopeSet::parse(text).unwrap());
    let issuing = Issuing { now: NOW, lifetimes: &lifetimes, entropy: &entropy };
    let (secret, access) = family.issue(&found.grant, &resource, &scopes, &issuing);
    assert_eq!(access.hash, secret.hash());
    let (again, same) = family.current_access(&resource, &scopes, NOW, &lifetimes).unwrap();
    assert_eq!((again.expose(), &same), (secret.expose(), &access));
    assert!(family.current_access(&other, &scopes, NOW, &lifetimes).is_none());
    assert!(family.current_access(&resource, &narrow, NOW, &lifetimes).is_none());
    let soon = access.expires_at - lifetimes.least_left();
    assert!(
        family.current_access(&resource, &scopes, soon, &lifetimes).is_none(),
        "it would end at once"
    );
    let next = family.rotated(&found.grant, None, NOW, &lifetimes).unwrap();
    assert!(
        next.current_access(&resource, &scopes, NOW, &lifetimes).is_none(),
        "it belongs to the pair before"
    );
    let (second, _) = family.issue(&found.grant, &other, &narrow, &issuing);
    assert_ne!(second.expose(), secret.expose());
    assert!(
        family.current_access(&resource, &scopes, NOW, &lifetimes).is_some(),
        "one for each resource"
    );
    assert_eq!(family.last_resource([&resource, &other].into_iter()), Some(&other));
}

#[test]
fn fb16_the_address_is_that_of_the_latest_rotation() {
    let found = found_refresh();
    let address = |text: &str| Some(text.parse::<IpAddr>().unwrap());
    let at = |text: &str| {
        found
            .family
            .as_ref()
            .unwrap()
            .rotated(&found.grant, address(text), NOW, &Lifetimes::default())
            .unwrap()
    };
    let family = at("2001:db8:1:2::1");
    for (text, expected) in [
        ("2001:db8:1:2:3::9", true),
        ("2001:db8:1:3::1", false),
        ("192.0.2.1", false),
        ("::", false),
    ] {
        assert_eq!(family.is_from(address(text)), expected, "{text}");
    }
    assert!(at("192.0.2.1").is_from(address("::ffff:192.0.2.1")));
    assert!(!family.is_from(None));
    // One that is not known is like no other, not even like another one that is not known.
    let unknown = family.rotated(&found.grant, None, NOW, &Lifetimes::default()).unwrap();
    assert!(
        !unknown.is_from(None)
            && !at("0.0.0.0").is_from(address("0.0.0.0"))
            && !at("::").is_from(address("::"))
    );
    let bytes = at("192.0.2.1").state.to_bytes();
    assert!(
        !bytes.windows(4).any(|window| window == [192, 0, 2, 1]),
        "what is kept does not tell the address"
    );
}

#[test]
fn nothing_secret_prints() {
    let found = found_refresh();
    let secret = found.family.as_ref().unwrap().secret.expose().to_owned();
    assert!(!format!("{found:?}").contains(&secret));
    let sent = current(&found);
    assert!(!format!("{sent:?}").contains(&format!("{:?}", sent.tag)));
}

#[test]
fn fb82_the_token_that_takes_the_place_of_another() {
    let (found, lifetimes, entropy) =
        (found_refresh(), Lifetimes::default(), SeededEntropy::new(7));
    let (resource, scopes) =
        (found.grant.resources.iter().next().unwrap().clone(), found.grant.scopes.clone());
    let issuing = Issuing { now: NOW, lifetimes: &lifetimes, entropy: &entropy };
    let mut family = family();
    let (_, first) = family.issue(&found.grant, &resource, &scopes, &issuing);
    assert_eq!(family.successor(&first), None, "it is the current one itself");
    let mut next = family.rotated(&found.grant, client_address(), NOW, &lifetimes).unwrap();
    assert_eq!(next.successor(&first), None, "none was issued yet");
    let (_, second) = next.issue(&found.grant, &resource, &scopes, &issuing);
    assert_eq!(next.successor(&first), Some((second.expires_at, second.hash)));
    assert_eq!(next.successor(&second), None);
    let narrow = AccessToken { scopes: ScopeSet::default(), ..first.clone() };
    let elsewhere =
        AccessToken { resource: Resource::from_stored("https://other.example/mcp"), ..first };
    for other in [narrow, elsewhere] {
        assert_eq!(next.successor(&other), None, "{other:?}");
    }
}
