"""The HTTP endpoint: DynamoDB's wire protocol in front of an embedded cluster. Needs the extra `serve` (httptools)."""
