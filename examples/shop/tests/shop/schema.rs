//! A value against a JSON schema: the part of the language that our document speaks. What is not known of it is a failure,
//! so that nothing goes unchecked.

use std::collections::BTreeSet;

use serde_json::Value;

/// Words that say nothing about a value that could be checked here.
const SILENT: [&str; 4] = ["description", "example", "format", "default"];

/// What is wrong with a value; empty if it fits. A property that the schema does not name is wrong.
pub(crate) fn problems(document: &Value, schema: &Value, value: &Value) -> Vec<String> {
    let mut checker = Checker { document, problems: Vec::new() };
    checker.fits(schema, value, "$");
    checker.names_all(schema, value, "$");
    checker.problems
}

struct Checker<'d> {
    document: &'d Value,
    problems: Vec<String>,
}

impl<'d> Checker<'d> {
    fn resolve<'s>(&self, schema: &'s Value) -> &'s Value
    where
        'd: 's,
    {
        let Some(reference) = schema["$ref"].as_str() else { return schema };
        let pointer = reference.strip_prefix('#').expect("a reference within the document");
        self.document.pointer(pointer).unwrap_or_else(|| panic!("{reference} leads nowhere"))
    }

    fn fits(&mut self, schema: &Value, value: &Value, at: &str) {
        let schema = self.resolve(schema);
        for (word, rule) in schema.as_object().expect("a schema is an object") {
            let fits = match word.as_str() {
                "type" => has_type(rule, value),
                "enum" => rule.as_array().is_some_and(|values| values.contains(value)),
                "required" => self.has_all(rule, value, at),
                "properties" => self.each_property(rule, value, at),
                "items" => self.each_item(rule, value, at),
                "allOf" => self.all_of(rule, value, at),
                "oneOf" => self.count(rule, value) == 1,
                "anyOf" => self.count(rule, value) >= 1,
                "minimum" => value.as_f64().is_none_or(|value| value >= rule.as_f64().unwrap()),
                "maximum" => value.as_f64().is_none_or(|value| value <= rule.as_f64().unwrap()),
                "additionalProperties" => rule == &Value::Bool(false), // names_all sees to it
                word if SILENT.contains(&word) => true,
                // Requests only: no answer has a schema with these.
                word => panic!("the schema says {word}, which nobody checks"),
            };
            if !fits {
                self.problems.push(format!("{at}: {value} does not fit {word}: {rule}"));
            }
        }
    }

    fn count(&self, options: &Value, value: &Value) -> usize {
        let options = options.as_array().expect("a list of schemas");
        options.iter().filter(|option| problems(self.document, option, value).is_empty()).count()
    }

    fn all_of(&mut self, parts: &Value, value: &Value, at: &str) -> bool {
        for part in parts.as_array().expect("a list of schemas") {
            self.fits(part, value, at);
        }
        true
    }

    fn has_all(&mut self, names: &Value, value: &Value, at: &str) -> bool {
        let Some(object) = value.as_object() else { return true };
        for name in names.as_array().expect("a list of names") {
            if !object.contains_key(name.as_str().unwrap()) {
                self.problems.push(format!("{at}: {name} is missing"));
            }
        }
        true
    }

    fn each_property(&mut self, properties: &Value, value: &Value, at: &str) -> bool {
        for (name, schema) in properties.as_object().expect("properties by name") {
            if let Some(value) = value.get(name) {
                let at = format!("{at}.{name}");
                self.fits(schema, value, &at);
                self.names_all(schema, value, &at);
            }
        }
        true
    }

    fn each_item(&mut self, schema: &Value, value: &Value, at: &str) -> bool {
        for (index, item) in value.as_array().into_iter().flatten().enumerate() {
            let at = format!("{at}[{index}]");
            self.fits(schema, item, &at);
            self.names_all(schema, item, &at);
        }
        true
    }

    /// Whether the schema, in all its parts, names each property of an object.
    fn names_all(&mut self, schema: &Value, value: &Value, at: &str) {
        let Some(object) = value.as_object() else { return };
        let mut named = BTreeSet::new();
        self.names(schema, &mut named);
        for name in object.keys().filter(|name| !named.contains(*name)) {
            self.problems.push(format!("{at}: {name} is not in the document"));
        }
    }

    fn names(&self, schema: &Value, named: &mut BTreeSet<String>) {
        let schema = self.resolve(schema);
        named.extend(schema["properties"].as_object().into_iter().flat_map(|names| names.keys().cloned()));
        for word in ["allOf", "oneOf", "anyOf"] {
            for part in schema[word].as_array().into_iter().flatten() {
                self.names(part, named);
            }
        }
    }
}

fn has_type(rule: &Value, value: &Value) -> bool {
    let is = |name: &Value| match name.as_str().expect("a type has a name") {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        name => panic!("a type that nobody knows: {name}"),
    };
    rule.as_array().map_or_else(|| is(rule), |names| names.iter().any(is))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_does_not_fit_is_told() {
        let document = json!({"parts": {
            "Base": {"type": "object", "required": ["id"], "properties": {"id": {"type": "string"}}},
            "Whole": {"allOf": [{"$ref": "#/parts/Base"}, {"type": "object", "required": ["lines"], "properties": {
                "lines": {"type": "array", "items": {"type": ["integer", "null"]}},
                "state": {"oneOf": [{"type": "null"}, {"type": "string", "enum": ["open", "paid"]}]},
            }}]},
        }});
        let whole = json!({"$ref": "#/parts/Whole"});
        let told = |value: Value| problems(&document, &whole, &value);
        assert_eq!(told(json!({"id": "1", "lines": [1, null], "state": "open"})), Vec::<String>::new());
        for (wrong, word) in [
            (json!({"id": "1"}), "\"lines\" is missing"),
            (json!({"lines": []}), "\"id\" is missing"),
            (json!({"id": 1, "lines": []}), "$.id: 1 does not fit type"),
            (json!({"id": "1", "lines": ["x"]}), "$.lines[0]: \"x\" does not fit type"),
            (json!({"id": "1", "lines": [1.5]}), "$.lines[0]: 1.5 does not fit type"),
            (json!({"id": "1", "lines": [], "state": "lost"}), "$.state: \"lost\" does not fit oneOf"),
            (json!({"id": "1", "lines": [], "more": 1}), "more is not in the document"),
            (json!([]), "does not fit type"),
        ] {
            let problems = told(wrong);
            assert!(problems.iter().any(|problem| problem.contains(word)), "{word}: {problems:?}");
        }
    }
}
