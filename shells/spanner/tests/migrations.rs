//! The schema's steps: applied once, harmless twice, refused where a newer program was.

mod support;

use doorbuster_spanner::schema::{self, SchemaError, VERSION};
use google_cloud_spanner::client::Spanner;
use google_cloud_spanner::mutation::Mutation;
use google_cloud_spanner::statement::Statement;
use support::{config, database, open};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_migration_may_be_repeated_and_two_may_meet() {
    let Some(config) = config("migrations") else { return };
    schema::create_database(&config).await.expect("a database can be made");
    schema::create_database(&config).await.expect("one that is there is as good");
    let (one, other) = (open(&config).await, open(&config).await);
    assert!(matches!(schema::check(&one).await, Err(SchemaError::Older { found: 0, needed: VERSION })));
    let (first, second) = tokio::join!(schema::migrate(&one), schema::migrate(&other));
    // One of two may find the schema being changed, and comes again.
    assert!(first.is_ok() || second.is_ok(), "{first:?} {second:?}");
    schema::migrate(&one).await.expect("what was migrated may be migrated again");
    schema::migrate(&other).await.expect("by whom ever");
    schema::check(&other).await.expect("it is this program's schema");
    schema::drop_database(&config).await.expect("a database can be dropped");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_older_program_is_told_to_go() {
    let Some(database) = database("migrations").await else { return };
    let root = Spanner::builder().with_endpoint(format!("http://{}", database.config.emulator.as_deref().unwrap()));
    let client = root.build().await.unwrap().database_client(database.config.database_name()).build().await.unwrap();
    let newer = Mutation::new_insert_builder("schema_version").set("version").to((VERSION + 1).cast_signed());
    let newer = newer.set("applied_at").to("spanner.commit_timestamp()").build();
    client.write_only_transaction().build().write([newer]).await.unwrap();
    let migrated = schema::migrate(&database.connection).await;
    assert!(
        matches!(migrated, Err(SchemaError::Newer { found, known: VERSION }) if found == VERSION + 1),
        "{migrated:?}"
    );
    let checked = schema::check(&database.connection).await.expect_err("it is another program's schema");
    assert!(checked.to_string().contains("newer"), "{checked}");
    let only_unpaid = "SELECT IS_NULL_FILTERED FROM INFORMATION_SCHEMA.INDEXES WHERE INDEX_NAME = 'orders_due'";
    let mut found = client.single_use().build().execute_query(Statement::builder(only_unpaid).build()).await.unwrap();
    assert!(found.next().await.unwrap().unwrap().get::<bool>(0).unwrap(), "the sweep reads unpaid orders only");
    database.drop().await;
}
