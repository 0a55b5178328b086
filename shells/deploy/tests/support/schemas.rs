//! The schemas of a document, stricter than readers should be.

use jsonschema::Validator;
use serde_json::{Value, json};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

/// Schemas by their place in the document. Each object has the fields that are named and no other: a reader passes over
/// what it does not know, but here every field that the code writes must be named.
pub struct Schemas {
    document: Value,
    made: RefCell<BTreeMap<String, Rc<Validator>>>,
}

impl Schemas {
    /// Of this document.
    pub fn strict(document: &Value) -> Schemas {
        let mut document = document.clone();
        close(&mut document);
        Schemas { document, made: RefCell::default() }
    }

    /// The value is what stands at this place.
    pub fn hold(&self, place: &str, value: &Value) {
        let errors: Vec<String> =
            self.at(place).iter_errors(value).map(|error| format!("{}: {error}", error.instance_path())).collect();
        assert!(errors.is_empty(), "{place}: {errors:?}\n{value}");
    }

    /// The value is not.
    pub fn refuse(&self, place: &str, value: &Value) {
        assert!(!self.at(place).is_valid(value), "{place} takes {value}");
    }

    fn at(&self, place: &str) -> Rc<Validator> {
        let mut made = self.made.borrow_mut();
        let make = || {
            let pointer = place.strip_prefix('#').expect("a place begins with a number sign");
            assert!(self.document.pointer(pointer).is_some(), "the document has nothing at {place}");
            // The version of JSON Schema that AsyncAPI's own schemas are an extension of.
            let schema = json!({"allOf": [{"$ref": place}], "components": self.document["components"]});
            Rc::new(jsonschema::draft7::new(&schema).unwrap_or_else(|error| panic!("{place}: {error}")))
        };
        made.entry(place.to_owned()).or_insert_with(make).clone()
    }
}

fn close(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            if fields.get("type") == Some(&json!("object")) && fields.contains_key("properties") {
                fields.insert("additionalProperties".to_owned(), json!(false));
            }
            fields.values_mut().for_each(close);
        }
        Value::Array(values) => values.iter_mut().for_each(close),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
