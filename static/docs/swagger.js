// Starts Swagger UI on the document that the page names.
"use strict";

const root = document.getElementById("swagger-ui");

// A signed-in session needs Django's CSRF token on everything that writes.
function withCsrfToken(request) {
  const cookie = document.cookie.split("; ").find((pair) => pair.startsWith("csrftoken="));
  if (cookie && new URL(request.url, location.href).origin === location.origin) {
    request.headers["X-CSRFToken"] = decodeURIComponent(cookie.slice("csrftoken=".length));
  }
  return request;
}

SwaggerUIBundle({
  url: root.dataset.openapiUrl,
  domNode: root,
  deepLinking: true,
  persistAuthorization: false,
  requestInterceptor: withCsrfToken,
  // Without this, Swagger UI asks a public validator about the document.
  validatorUrl: null,
});
