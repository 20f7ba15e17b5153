use futures::TryStreamExt;
use progenitor_client::{ByteStream, Error};

pub mod cloakroom {
    progenitor::generate_api!(spec = "openapi.json", interface = Builder);
}
use cloakroom::{Client, types};

pub fn connect(url: &str) -> Result<Client, reqwest::Error> {
    let http = reqwest::Client::builder().cookie_store(true).build()?; // keeps the cookie
    Ok(Client::new_with_client(url, http))
}

/// Why a call was refused. progenitor does not parse `application/problem+json` itself.
pub async fn problem(error: Error<ByteStream>) -> Result<types::Problem, String> {
    let Error::ErrorResponse(refusal) = error else { return Err(error.to_string()) };
    let body: Vec<_> = refusal.into_inner().into_inner().try_collect().await.map_err(|e| e.to_string())?;
    serde_json::from_slice(&body.concat()).map_err(|error| error.to_string())
}

pub async fn visit(url: &str, username: &str, password: &str) -> Result<String, String> {
    let client = connect(url).map_err(|error| error.to_string())?;
    let login = client.login().body_map(|body| body.username(username).password(password));
    if let Err(error) = login.send().await {
        let problem = problem(error).await?;
        return Err(match problem.code.as_str() {
            "invalid_credentials" => "Wrong user name or password.".to_owned(),
            _ => format!("{} {}", problem.status, *problem.title), // for example a new code
        });
    }

    let secret = client.read_private().send().await.map_err(|error| error.to_string())?;
    let list = client.list_sessions().limit(20).send().await.map_err(|error| error.to_string())?;
    for session in list.sessions.iter().filter(|session| !session.current) {
        client.revoke_session().id(session.id.as_str()).send().await.map_err(|error| error.to_string())?;
    }
    client.logout().send().await.map_err(|error| error.to_string())?;
    Ok(secret.private.to_string())
}
