// ReDoc's footer loads its maker's logo from their host. Images of other hosts are left out before they are asked for.
"use strict";

(() => {
  const property = Object.getOwnPropertyDescriptor(HTMLImageElement.prototype, "src");
  const setAttribute = Element.prototype.setAttribute;
  const isOurs = (value) => String(value).startsWith("data:") || new URL(value, location.href).origin === location.origin;

  Object.defineProperty(HTMLImageElement.prototype, "src", {
    ...property,
    set(value) {
      if (isOurs(value)) property.set.call(this, value);
    },
  });
  Element.prototype.setAttribute = function (name, value) {
    if (this instanceof HTMLImageElement && name === "src" && !isOurs(value)) return;
    setAttribute.call(this, name, value);
  };
})();
