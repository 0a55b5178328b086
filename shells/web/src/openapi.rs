//! The OpenAPI 3.1 document, made from the tables of routes and problems; and a page per problem.

use crate::extract::Names;
use crate::problem::{Answer, Slug};
use crate::routes::{Access, OF_NO_ROUTE, ROUTES, Route};
use crate::schemas::schemas;
use axum::Json;
use axum::response::{Html, IntoResponse};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// `GET /openapi.json`
pub async fn document() -> Json<Value> {
    Json(openapi())
}

/// The whole document.
pub fn openapi() -> Value {
    let mut paths: BTreeMap<&str, Map<String, Value>> = BTreeMap::new();
    for route in ROUTES {
        paths.entry(route.path).or_default().insert(route.method.to_owned(), operation(route));
    }
    let of_no_route: Vec<&str> = OF_NO_ROUTE.iter().map(|slug| slug.name()).collect();
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Doorbuster",
            "version": env!("CARGO_PKG_VERSION"),
            "description": format!(
                "A flash-sale platform. Errors are RFC 9457 problems; their types have pages under /problems. \
                 Unknown paths and methods answer with {}.", of_no_route.join(" and ")),
        },
        "paths": paths,
        "components": {
            "schemas": schemas(),
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}},
        },
        "x-problems": Slug::ALL.iter().map(|slug| json!({
            "type": format!("/problems/{}", slug.name()),
            "status": slug.status(),
            "title": slug.title(),
            "advice": slug.advice(),
            "retry_after_seconds": slug.retry_after_s(),
        })).collect::<Vec<_>>(),
    })
}

fn operation(route: &Route) -> Value {
    let reference = |schema: &str| json!({"$ref": format!("#/components/schemas/{schema}")});
    let (status, media, schema) = route.answer;
    let mut responses = Map::new();
    responses
        .insert(status.to_string(), json!({"description": "Done.", "content": {media: {"schema": reference(schema)}}}));
    if route.is_versioned() {
        responses.insert("304".to_owned(), json!({"description": "The caller has this version already."}));
    }
    let mut by_status: BTreeMap<u16, Vec<Slug>> = BTreeMap::new();
    for slug in route.all_problems() {
        by_status.entry(slug.status()).or_default().push(slug);
    }
    for (status, slugs) in by_status {
        let names: Vec<String> = slugs.iter().map(|slug| format!("{}: {}", slug.name(), slug.title())).collect();
        let content = json!({"application/problem+json": {"schema": reference("Problem")}});
        responses.insert(status.to_string(), json!({"description": names.join("; "), "content": content}));
    }
    let mut operation = json!({
        "summary": route.summary,
        "parameters": parameters(route),
        "responses": responses,
        "x-problems": route.all_problems().iter().map(|slug| slug.name()).collect::<Vec<_>>(),
    });
    if matches!(route.access, Access::Buyer | Access::Admin) {
        operation["security"] = json!([{"token": []}]);
    }
    if let Some((media, schema)) = route.body {
        operation["requestBody"] = json!({"content": {media: {"schema": reference(schema)}}});
    }
    operation
}

fn parameters(route: &Route) -> Vec<Value> {
    let names = route.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let in_path = |name| json!({"name": name, "in": "path", "required": true, "schema": {"type": "string"}});
    let mut parameters: Vec<Value> = names.map(in_path).collect();
    // Who may refuse a key for being another thing's takes one; who may miss it requires it.
    if route.problems.contains(&Slug::KeyReused) {
        parameters.push(json!({
            "name": "Idempotency-Key",
            "in": "header",
            "required": route.problems.contains(&Slug::KeyMissing),
            "schema": {"type": "string", "pattern": "^[!-~]{1,64}$"},
        }));
    }
    let tags = |name, what| json!({"name": name, "in": "header", "description": what, "schema": {"type": "string"}});
    if route.problems.contains(&Slug::StaleVersion) {
        parameters.push(tags("If-Match", "The ETag of the version that the change was made for."));
    }
    if route.is_versioned() {
        parameters.push(tags("If-None-Match", "The ETag of the version that the caller has."));
    }
    parameters
}

/// `GET /problems/{slug}`
pub async fn problem_page(names: Names) -> Answer {
    let slug = Slug::ALL.iter().find(|slug| slug.name() == names.text("slug")).ok_or(Slug::NotFound)?;
    let (name, title, advice, status) = (slug.name(), slug.title(), slug.advice(), slug.status());
    let retry = slug.retry_after_s().map_or(String::new(), |seconds| {
        format!("<p>Worth asking again after {seconds} s; the header Retry-After says so too.</p>")
    });
    let page = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>{name}</title>\
         <h1>{title}</h1><p><code>{name}</code>, status {status}</p><p>{advice}</p>{retry}</html>"
    );
    Ok(Html(page).into_response())
}
