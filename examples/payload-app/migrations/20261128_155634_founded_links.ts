import { MigrateUpArgs, MigrateDownArgs, sql } from '@payloadcms/db-sqlite'

export async function up({ db, payload, req }: MigrateUpArgs): Promise<void> {
  await db.run(sql`CREATE TABLE \`vendors_links\` (
  	\`_order\` integer NOT NULL,
  	\`_parent_id\` integer NOT NULL,
  	\`id\` text PRIMARY KEY NOT NULL,
  	\`url\` text NOT NULL,
  	FOREIGN KEY (\`_parent_id\`) REFERENCES \`vendors\`(\`id\`) ON UPDATE no action ON DELETE cascade
  );
  `)
  await db.run(sql`CREATE INDEX \`vendors_links_order_idx\` ON \`vendors_links\` (\`_order\`);`)
  await db.run(sql`CREATE INDEX \`vendors_links_parent_id_idx\` ON \`vendors_links\` (\`_parent_id\`);`)
  await db.run(sql`ALTER TABLE \`vendors\` ADD \`founded\` numeric;`)
}

export async function down({ db, payload, req }: MigrateDownArgs): Promise<void> {
  await db.run(sql`DROP TABLE \`vendors_links\`;`)
  await db.run(sql`ALTER TABLE \`vendors\` DROP COLUMN \`founded\`;`)
}
