//! No client takes the password hasher from others (row 9 of the attack note of 2026-11).

use std::iter;

use cloakroom::domain::passwords::cost::HashCost;
use cloakroom::domain::passwords::queue::Share;
use futures_util::future::join_all;
use poem::http::{Method, header};
use serde_json::json;

use crate::house::{House, PASSWORD, coming_from, request};

/// A sign-in from an address, perhaps with a device cookie; the status.
async fn log_in(house: &House, username: &str, address: &str, device: &str) -> u16 {
    let body = json!({ "username": username, "password": PASSWORD }).to_string();
    let login = request(Method::POST, "/login").content_type("application/json");
    let login = login.header(header::COOKIE, device).body(body);
    house.send(coming_from(address, login)).await.status.as_u16()
}

#[tokio::test]
async fn att_17_09_sign_ins_succeed_while_sixty_four_from_another_address_are_in_flight() {
    let house = House::that_costs_its_price().await;
    for n in 0..12 {
        house.signed_in(&format!("user{n}")).await;
    }
    house.signed_in("mallory").await;
    let device = house.stranger().log_in("mallory", PASSWORD).await;
    let device = device.sets("device").unwrap().split_once(';').unwrap().0.to_owned();
    let crowd = join_all((0..64).map(|_| log_in(&house, "mallory", "192.0.2.66", &device)));
    let others = join_all(
        (0..12)
            .map(async |n| log_in(&house, &format!("user{n}"), &format!("192.0.2.{n}"), "").await),
    );
    let (crowd, others) = tokio::join!(crowd, others);
    assert_eq!(others, [200; 12]);
    assert!(crowd.contains(&200), "it has its share: {crowd:?}");
}

#[tokio::test]
async fn att_17_09_slots_of_one_account_are_given_up_to_other_users_without_an_address() {
    let house = House::without_limits().await; // its hashes take no time, so 64 have a slot
    for n in 0..12 {
        house.signed_in(&format!("user{n}")).await;
    }
    let share = Share::new(None, Some("mallory"));
    let mut held: Vec<_> =
        iter::from_fn(|| house.domain.hasher.reserve_slot(&share).ok()).collect();
    assert_eq!(held.len(), 64);
    for n in 0..12 {
        let answer = house.stranger().log_in(&format!("user{n}"), PASSWORD).await;
        assert_eq!(answer.status, 200, "{n}");
        held.push(house.domain.hasher.reserve_slot(&share).unwrap()); // it is full again
    }
    assert_eq!(
        house.stranger().log_in("mallory", "wrong").await.refusal(),
        (503, "overloaded".into())
    );
}

#[tokio::test]
async fn att_17_09_slots_of_one_address_are_given_up_to_users_of_other_addresses() {
    let house = House::without_limits().await;
    for n in 0..12 {
        house.signed_in(&format!("user{n}")).await;
    }
    // of as many names
    let share = |n| Share::new(Some([192, 0, 2, 66].into()), Some(&format!("mallory{n}")));
    let held: Vec<_> =
        (0..).map_while(|n| house.domain.hasher.reserve_slot(&share(n)).ok()).collect();
    assert_eq!(held.len(), 64);
    let others = join_all(
        (0..12)
            .map(async |n| log_in(&house, &format!("user{n}"), &format!("192.0.2.{n}"), "").await),
    );
    assert_eq!(others.await, [200; 12]);
}

// at an eighth of the price, since other tests take the cores; the capacity at the full price is a test of the
// queue itself
#[tokio::test]
async fn att_17_09_users_from_twenty_four_addresses_sign_in_at_the_same_moment() {
    let price = HashCost::DEFAULT;
    let house = House::that_hashes_at(HashCost { memory_kib: price.memory_kib / 8, ..price }).await;
    for n in 0..24 {
        house.signed_in(&format!("user{n}")).await;
    }
    let all = join_all(
        (0..24)
            .map(async |n| log_in(&house, &format!("user{n}"), &format!("192.0.2.{n}"), "").await),
    );
    assert_eq!(all.await, [200; 24]);
}
