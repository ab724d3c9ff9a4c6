import * as migration_20261124_185919_initial from './20261124_185919_initial';
import * as migration_20261128_155634_founded_links from './20261128_155634_founded_links';

export const migrations = [
  {
    up: migration_20261124_185919_initial.up,
    down: migration_20261124_185919_initial.down,
    name: '20261124_185919_initial',
  },
  {
    up: migration_20261128_155634_founded_links.up,
    down: migration_20261128_155634_founded_links.down,
    name: '20261128_155634_founded_links'
  },
];
