//! The people of the house: listed, signed in, renamed, forgotten.

use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};

use super::{
    answer::{Done, Failed},
    given::{Given, Named},
};
use crate::{
    bus::{Answer, Bus, Order},
    control::wanted::{Field, Takes, Wanted, must},
    model::Account,
};

#[derive(Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
#[cfg_attr(test, schema(as = Accounts))]
pub struct List {
    accounts: Vec<Account>,
}

#[derive(Deserialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Who {
    user: String,
}

impl Wanted for Who {
    const FIELDS: &'static [Field] = &[must("user", Takes::Text)];
}

#[derive(Deserialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
#[cfg_attr(test, schema(as = AccountName))]
#[serde(deny_unknown_fields)]
pub struct Name {
    name: String,
}

impl Wanted for Name {
    const FIELDS: &'static [Field] = &[must("name", Takes::Text)];
}

pub async fn list(State(bus): State<Bus>) -> Result<Json<List>, Failed> {
    let accounts = match bus.order(Order::Accounts).await? {
        Answer::Accounts(accounts) => accounts,
        _ => Vec::new(),
    };
    Ok(Json(List { accounts }))
}

pub async fn sign_in(
    State(bus): State<Bus>,
    Named(speaker): Named,
    Given(Who { user }): Given<Who>,
) -> Result<Json<Done>, Failed> {
    bus.order(Order::UseAccount { speaker, user }).await?;
    Ok(Done::answer())
}

pub async fn rename(
    State(bus): State<Bus>,
    Named(user): Named,
    Given(Name { name }): Given<Name>,
) -> Result<Json<Done>, Failed> {
    bus.order(Order::RenameAccount { user, name }).await?;
    Ok(Done::answer())
}

pub async fn forget(State(bus): State<Bus>, Named(user): Named) -> Result<Json<Done>, Failed> {
    let user = Some(user);
    bus.order(Order::ForgetAccount { user }).await?;
    Ok(Done::answer())
}

pub async fn forget_all(State(bus): State<Bus>) -> Result<Json<Done>, Failed> {
    bus.order(Order::ForgetAccount { user: None }).await?;
    Ok(Done::answer())
}
