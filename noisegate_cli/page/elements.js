// Elements of the document.

/** Return the element with an ID. */
const $ = (id) => document.getElementById(id);

/** Return a new element with properties and children. */
function create(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}
