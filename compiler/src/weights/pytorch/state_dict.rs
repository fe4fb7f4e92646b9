//! From a checkpoint's pickle to the tensors it names.

use std::collections::HashMap;

use super::Damage;
use super::pickle::{Id, Pickle, Value};
use super::tensor::{Element, Storage, View};
use crate::weights::Weights;

/// Keys under which training programs keep the state dict beside epoch, accuracy and optimiser.
///
/// Source: `state_dict` in PyTorch's ImageNet example, `model` in torchvision's references and RepDistiller, `net` in pytorch-cifar.
const WRAPPERS: [&str; 3] = ["state_dict", "model", "net"];

/// Reads the tensors of a checkpoint; `bytes_of` gives a storage's bytes, of a file of `file_len` bytes.
pub(super) fn weights<'b>(
    pickle: &Pickle<'_>,
    file_len: usize,
    mut bytes_of: impl FnMut(&Storage<'_>) -> Result<&'b [u8], Damage>,
) -> Result<Weights, Damage> {
    let views = views(pickle)?;
    // many tensors may share a storage, but not without end
    let mut room = file_len;
    for view in &views {
        room = room.checked_sub(view.len()?).ok_or_else(|| {
            format!(
                "tensors of more elements than the file's {file_len} bytes, up to {:?}",
                view.name
            )
        })?;
    }
    let mut weights = Weights::new();
    for view in views {
        weights.insert(view.name.to_owned(), view.values(bytes_of(&view.storage)?)?);
    }
    Ok(weights)
}

/// Every storage that a checkpoint's pickle names, by key.
pub(super) fn storages<'a>(pickle: &Pickle<'a>) -> Result<HashMap<&'a str, Storage<'a>>, Damage> {
    let mut storages = HashMap::new();
    for value in pickle.values() {
        // modules pickled whole have further names, of their source code
        if let Value::Persistent(name) = value
            && let Some([kind, fields @ ..]) = pickle.tuple(*name)
            && pickle.text(*kind) == Some("storage")
        {
            let storage = storage(pickle, fields)?;
            storages.insert(storage.key, storage);
        }
    }
    Ok(storages)
}

/// The state dict's tensors of floats.
fn views<'a>(pickle: &Pickle<'a>) -> Result<Vec<View<'a>>, Damage> {
    let mut views = Vec::new();
    for (key, value) in state_dict(pickle)? {
        let Some(name) = pickle.text(*key) else { continue };
        if name.contains(char::is_control) {
            return Err(format!("the name {name:?}"));
        }
        let view = view(pickle, name, *value).map_err(|damage| format!("{damage}, tensor {name:?}"))?;
        if let Some(view) = view.filter(|view| !matches!(view.storage.element, Element::Integer(_))) {
            views.push(view);
        }
    }
    if views.is_empty() {
        return Err("a dictionary without tensors".to_owned());
    }
    Ok(views)
}

fn state_dict<'p>(pickle: &'p Pickle<'_>) -> Result<&'p [(Id, Id)], Damage> {
    let items = match pickle.top() {
        Value::Dict(items) => items,
        Value::Call { callee, .. } => {
            let class = match pickle.value(*callee) {
                Value::Global(module, name) => format!("{module}.{name}"),
                _ => "an unnamed class".to_owned(),
            };
            return Err(format!(
                "an object of {class:?}: save the network's state_dict() in its place"
            ));
        }
        _ => return Err("no state dict".to_owned()),
    };
    let wrapped = |wrapper: &str| {
        items.iter().find_map(|(key, value)| match pickle.value(*value) {
            Value::Dict(items) if pickle.text(*key) == Some(wrapper) => Some(items),
            _ => None,
        })
    };
    Ok(WRAPPERS.into_iter().find_map(wrapped).unwrap_or(items))
}

/// A tensor or parameter; `None` for what is neither.
fn view<'a>(pickle: &Pickle<'a>, name: &'a str, value: Id) -> Result<Option<View<'a>>, Damage> {
    let Some((function, arguments)) = call(pickle, value) else {
        return Ok(None);
    };
    let (function, arguments) = match (function, arguments) {
        // (data, requires_grad, hooks, ...)
        ("_rebuild_parameter" | "_rebuild_parameter_with_state", [data, ..]) => match call(pickle, *data) {
            Some(inner) => inner,
            None => return Err("a parameter without data".to_owned()),
        },
        other => other,
    };
    // (storage, offset, size, stride, ...)
    let ("_rebuild_tensor" | "_rebuild_tensor_v2", [storage, offset, shape, strides, ..]) = (function, arguments)
    else {
        return Err(format!("a call of {function:?} with {} arguments", arguments.len()));
    };
    let storage_fields = match pickle.value(*storage) {
        Value::Persistent(name) => pickle.tuple(*name),
        _ => None,
    };
    let Some([_, fields @ ..]) = storage_fields else {
        return Err("no storage".to_owned());
    };
    let sizes = |id: Id| -> Option<Vec<usize>> { pickle.tuple(id)?.iter().map(|id| pickle.size(*id)).collect() };
    let (Some(offset), Some(shape), Some(strides)) = (pickle.size(*offset), sizes(*shape), sizes(*strides)) else {
        return Err("no offset, size and strides".to_owned());
    };
    if shape.len() != strides.len() {
        return Err(format!("{} sizes and {} strides", shape.len(), strides.len()));
    }
    Ok(Some(View {
        name,
        storage: self::storage(pickle, fields)?,
        offset,
        shape,
        strides,
    }))
}

/// Name and arguments of a call of PyTorch's functions that rebuild tensors.
fn call<'p, 'a>(pickle: &'p Pickle<'a>, value: Id) -> Option<(&'a str, &'p [Id])> {
    let Value::Call { callee, arguments } = pickle.value(value) else {
        return None;
    };
    let arguments = pickle.tuple(*arguments)?;
    match (pickle.value(*callee), arguments) {
        (Value::Global("torch._utils", function), arguments) => Some((function, arguments)),
        // of a subclass of tensors: (function, class, arguments, state)
        (Value::Global("torch._tensor", "_rebuild_from_type_v2"), [function, _, arguments, ..]) => {
            match pickle.value(*function) {
                Value::Global("torch._utils", function) => Some((function, pickle.tuple(*arguments)?)),
                _ => None,
            }
        }
        _ => None,
    }
}

/// A storage of its name's fields after the first: class, key, device, elements and, before PyTorch 0.4, what it is a part of.
fn storage<'a>(pickle: &Pickle<'a>, fields: &[Id]) -> Result<Storage<'a>, Damage> {
    let [class, key, _, len, part @ ..] = fields else {
        return Err(format!("a storage with {} fields", fields.len() + 1));
    };
    let (Value::Global(_, class), Some(key), Some(len)) = (pickle.value(*class), pickle.text(*key), pickle.size(*len))
    else {
        return Err("a storage without class, key and length".to_owned());
    };
    if part.iter().any(|part| pickle.tuple(*part).is_some()) {
        return Err(format!(
            "storage {key:?}, a part of another: save the file again with PyTorch 0.4 or later"
        ));
    }
    let element = Element::of_class(class).ok_or_else(|| format!("a storage of class {class:?}"))?;
    Ok(Storage {
        key,
        class,
        element,
        len,
    })
}
