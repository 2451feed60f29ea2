// ReDoc's footer loads its maker's logo from their host. Images of other hosts are left out before they are asked for.
"use strict";

const setAttribute = Element.prototype.setAttribute;
Element.prototype.setAttribute = function (name, value) {
  const isImage = this.tagName === "IMG" && name.toLowerCase() === "src";
  if (isImage && new URL(value, location.href).origin !== location.origin && !String(value).startsWith("data:")) {
    return;
  }
  setAttribute.call(this, name, value);
};
