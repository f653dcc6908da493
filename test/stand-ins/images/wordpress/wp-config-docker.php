<?php
// Where the database is comes from the environment, under the names that the official image has.
function setting(string $name, string $default): string {
    $value = getenv("WORDPRESS_$name");
    return $value === false ? $default : $value;
}

define('DB_HOST', setting('DB_HOST', 'mysql'));
define('DB_NAME', setting('DB_NAME', 'wordpress'));
define('DB_USER', setting('DB_USER', 'example username'));
define('DB_PASSWORD', setting('DB_PASSWORD', 'example password'));
define('DB_CHARSET', 'utf8mb4');
define('DB_COLLATE', '');
$table_prefix = setting('TABLE_PREFIX', 'wp_');

// No keys here: WordPress then makes some and keeps them in its database.
define('WP_DEBUG', setting('DEBUG', '') !== '');
eval(setting('CONFIG_EXTRA', ''));

if (!defined('ABSPATH')) {
    define('ABSPATH', __DIR__ . '/');
}
require_once ABSPATH . 'wp-settings.php';
