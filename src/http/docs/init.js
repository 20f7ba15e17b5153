// Starts Swagger UI. A file of its own, because the page allows no inline script.
// Addresses are relative to /docs, so that the page works under a proxy's path, too.
SwaggerUIBundle({
  dom_id: '#swagger-ui',
  url: 'openapi.json',
  deepLinking: true,
  displayRequestDuration: true,
  docExpansion: 'list',
  tryItOutEnabled: true,
  persistAuthorization: false, // true would write a cookie of its own, readable by scripts
  validatorUrl: null, // nothing is sent to strangers
});
