// AWS SDK for JavaScript, version 3: commands, documents, paginators, waiters. `node javascript_tour.mjs URL PACKAGES`.
// The packages lie elsewhere (PACKAGES, a folder with node_modules), so they are loaded by path.

import assert from "node:assert/strict";
import { createRequire } from "node:module";
import path from "node:path";

const [url, packages] = process.argv.slice(2);
const require = createRequire(path.resolve(packages, "package.json"));
const db = require("@aws-sdk/client-dynamodb");
const doc = require("@aws-sdk/lib-dynamodb");

const credentials = { accessKeyId: "any", secretAccessKey: "any" };
const client = new db.DynamoDBClient({ endpoint: url, region: "us-east-1", credentials });
const documents = doc.DynamoDBDocumentClient.from(client, { marshallOptions: { removeUndefinedValues: true } });
const TableName = "orders";

async function tables() {
  await client.send(new db.CreateTableCommand({
    TableName,
    BillingMode: "PAY_PER_REQUEST",
    AttributeDefinitions: [
      { AttributeName: "customer", AttributeType: "S" },
      { AttributeName: "number", AttributeType: "N" },
      { AttributeName: "state", AttributeType: "S" },
    ],
    KeySchema: [{ AttributeName: "customer", KeyType: "HASH" }, { AttributeName: "number", KeyType: "RANGE" }],
    GlobalSecondaryIndexes: [{
      IndexName: "by-state",
      KeySchema: [{ AttributeName: "state", KeyType: "HASH" }, { AttributeName: "number", KeyType: "RANGE" }],
      Projection: { ProjectionType: "ALL" },
    }],
  }));
  const waited = await db.waitUntilTableExists({ client, maxWaitTime: 30, minDelay: 1 }, { TableName });
  assert.equal(waited.state, "SUCCESS");
  const { Table } = await client.send(new db.DescribeTableCommand({ TableName }));
  assert.ok(Table.CreationDateTime instanceof Date);
  const names = [];
  for await (const page of db.paginateListTables({ client }, {})) names.push(...page.TableNames);
  assert.deepEqual(names, [TableName]);
  await assert.rejects(
    client.send(new db.DescribeTableCommand({ TableName: "absent" })),
    (error) => error instanceof db.ResourceNotFoundException && error.$metadata.httpStatusCode === 400,
  );
}

async function items() {
  const raw = { customer: { S: "raw" }, number: { N: "1" }, bytes: { B: new Uint8Array([0, 255, 7]) }, set: { NS: ["1", "2"] } };
  await client.send(new db.PutItemCommand({ TableName, Item: raw }));
  const key = { customer: raw.customer, number: raw.number };
  const found = await client.send(new db.GetItemCommand({ TableName, Key: key, ConsistentRead: true, ReturnConsumedCapacity: "TOTAL" }));
  assert.deepEqual([...found.Item.bytes.B], [0, 255, 7]);
  assert.deepEqual(found.Item.set.NS.sort(), ["1", "2"]);
  assert.equal(found.ConsumedCapacity.CapacityUnits, 1);
  await client.send(new db.DeleteItemCommand({ TableName, Key: key }));

  const Key = { customer: "ann", number: 1 };
  const Item = { ...Key, price: 30, tags: new Set(["a", "b"]), basket: ["tea", { milk: true }, null], absent: undefined };
  await documents.send(new doc.PutCommand({ TableName, Item }));
  await assert.rejects(
    documents.send(new doc.PutCommand({
      TableName, Item, ConditionExpression: "attribute_not_exists(customer)", ReturnValuesOnConditionCheckFailure: "ALL_OLD",
    })),
    (error) => error instanceof db.ConditionalCheckFailedException && error.Item !== undefined,
  );
  const { Attributes } = await documents.send(new doc.UpdateCommand({
    TableName, Key,
    UpdateExpression: "SET #s = :paid, basket[1].milk = :no ADD price :five DELETE tags :b",
    ConditionExpression: "price BETWEEN :low AND :high AND size(tags) = :two",
    ExpressionAttributeNames: { "#s": "state" },
    ExpressionAttributeValues: { ":paid": "paid", ":no": false, ":five": 5, ":b": new Set(["b"]), ":low": 10, ":high": 40, ":two": 2 },
    ReturnValues: "ALL_NEW",
  }));
  assert.deepEqual(Attributes, { ...Key, price: 35, state: "paid", tags: new Set(["a"]), basket: ["tea", { milk: false }, null] });
  const projected = await documents.send(new doc.GetCommand({ TableName, Key, ConsistentRead: true, ProjectionExpression: "price, basket[1]" }));
  assert.deepEqual(projected.Item, { price: 35, basket: [{ milk: false }] });
  const gone = await documents.send(new doc.DeleteCommand({ TableName, Key, ReturnValues: "ALL_OLD" }));
  assert.equal(gone.Attributes.price, 35);
  await assert.rejects(
    client.send(new db.PutItemCommand({ TableName, Item: { customer: { S: "no number" } } })),
    (error) => error.name === "ValidationException" && /Missing the key number/.test(error.message),
  );
}

async function pages() {
  const made = Array.from({ length: 60 }, (_, number) => ({
    customer: "bob", number, state: number % 3 ? "open" : "paid", text: "x".repeat(25_000),
  }));
  for (let first = 0; first < made.length; first += 20) {
    let RequestItems = { [TableName]: made.slice(first, first + 20).map((Item) => ({ PutRequest: { Item } })) };
    while (Object.keys(RequestItems).length) {
      RequestItems = (await documents.send(new doc.BatchWriteCommand({ RequestItems }))).UnprocessedItems ?? {};
    }
  }
  const query = () => ({ // anew each time: a paginator writes its start key into what it is given
    TableName, ConsistentRead: true,
    KeyConditionExpression: "customer = :c", ExpressionAttributeValues: { ":c": "bob" },
  });
  const numbers = [];
  let asked = 0;
  for await (const page of doc.paginateQuery({ client: documents }, query())) {
    asked += 1;
    numbers.push(...page.Items.map((item) => item.number));
  }
  assert.deepEqual(numbers, made.map((item) => item.number));
  assert.ok(asked >= 2, "1.5 MB is more than a page");
  const small = [];
  for await (const page of doc.paginateQuery({ client: documents, pageSize: 7 }, { ...query(), ScanIndexForward: false })) {
    assert.ok(page.Items.length <= 7);
    small.push(...page.Items.map((item) => item.number));
  }
  assert.deepEqual(small, numbers.toReversed());
  const seen = await Promise.all([0, 1, 2].map(async (Segment) => {
    const found = [];
    const input = { TableName, Segment, TotalSegments: 3, FilterExpression: "#s = :s", ExpressionAttributeNames: { "#s": "state" }, ExpressionAttributeValues: { ":s": "paid" } };
    for await (const page of doc.paginateScan({ client: documents }, { ...input, ConsistentRead: true })) found.push(...page.Items);
    return found.map((item) => item.number);
  }));
  assert.deepEqual(seen.flat().sort((a, b) => a - b), numbers.filter((number) => number % 3 === 0));
  const Keys = [{ customer: "bob", number: 1 }, { customer: "bob", number: 59 }, { customer: "bob", number: 600 }];
  const read = await documents.send(new doc.BatchGetCommand({ RequestItems: { [TableName]: { Keys, ConsistentRead: true } } }));
  assert.deepEqual(read.Responses[TableName].map((item) => item.number).sort(), [1, 59]);
  for (;;) { // an index follows its table
    const input = {
      TableName, IndexName: "by-state", Select: "COUNT",
      KeyConditionExpression: "#s = :s", ExpressionAttributeNames: { "#s": "state" }, ExpressionAttributeValues: { ":s": "paid" },
    };
    if ((await documents.send(new doc.QueryCommand(input))).Count === 20) break;
  }
  const told = await documents.send(new doc.ExecuteStatementCommand({
    Statement: `SELECT "number" FROM ${TableName} WHERE customer = ? AND "number" < ?`, Parameters: ["bob", 3],
  }));
  assert.deepEqual(told.Items, [{ number: 0 }, { number: 1 }, { number: 2 }]);
}

async function transactions() {
  const put = (number, more) => ({ Put: { TableName, Item: { customer: "eve", number }, ...more } });
  const once = { TransactItems: [put(1), put(2)], ClientRequestToken: "eve-1" };
  await documents.send(new doc.TransactWriteCommand(once));
  await documents.send(new doc.TransactWriteCommand(once)); // the same token: done before, not again
  await assert.rejects(
    documents.send(new doc.TransactWriteCommand({ ...once, TransactItems: [put(3)] })),
    (error) => error instanceof db.IdempotentParameterMismatchException,
  );
  const fresh = { ConditionExpression: "attribute_not_exists(customer)" };
  await assert.rejects(
    documents.send(new doc.TransactWriteCommand({ TransactItems: [put(3), put(2, fresh)] })),
    (error) => error instanceof db.TransactionCanceledException
      && error.CancellationReasons.map((reason) => reason.Code).join() === "None,ConditionalCheckFailed",
  );
  const gets = [1, 2, 3].map((number) => ({ Get: { TableName, Key: { customer: "eve", number } } }));
  const { Responses } = await documents.send(new doc.TransactGetCommand({ TransactItems: gets }));
  assert.deepEqual(Responses.map((response) => response.Item?.number), [1, 2, undefined]);
}

async function gone() {
  await client.send(new db.DeleteTableCommand({ TableName }));
  const waited = await db.waitUntilTableNotExists({ client, maxWaitTime: 30, minDelay: 1 }, { TableName });
  assert.equal(waited.state, "SUCCESS");
}

for (const part of [tables, items, pages, transactions, gone]) {
  await part();
  console.log(part.name);
}
