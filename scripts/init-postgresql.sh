#!/bin/sh
# Prepares a PostgreSQL server for HOMEPOT. A second run changes nothing; docs/postgresql.md tells
# how to do the same by hand.
#
# Names go to psql as variables (:"name", :'name') and statements through a pipe, so that no
# spelling of a name can break out. Passwords stay in Python and in .env: what this script
# handles is the verifier that PostgreSQL stores, and that not as an argument either.
set -eu

usage() {
    cat <<'END'
Usage: scripts/init-postgresql.sh [options]

Creates role and database on a PostgreSQL server (14 or newer), makes the tables, and writes
DATABASE__URL to .env (mode 0600). What is there already is left as it is.

  --name NAME           database                     (HOMEPOT_DB_NAME, homepot)
  --user NAME           role that owns the database  (HOMEPOT_DB_USER, homepot)
  --runtime-user NAME   second role, which may read and write rows but change no tables: the
                        service uses it, migrations use the owner  (HOMEPOT_DB_RUNTIME_USER)
  --host HOST           address, or a socket's folder  (HOMEPOT_DB_HOST, PGHOST, 127.0.0.1)
  --port PORT                                          (HOMEPOT_DB_PORT, PGPORT, 5432)
  --admin-user NAME     role that may create roles and databases; its password is taken from
                        PGPASSWORD, ~/.pgpass or the terminal. Needed for remote servers. For
                        one on this machine: the system user postgres, by itself or by sudo
  --password-file FILE  the owner's password (HOMEPOT_DB_PASSWORD); without: the one in .env,
                        or a random one for a new role
  --runtime-password-file FILE  the same for the second role (HOMEPOT_DB_RUNTIME_PASSWORD)
  --new-password        random passwords, also for roles that exist
  --env-file FILE       where DATABASE__URL is kept   (HOMEPOT_ENV_FILE, .env)
  --switch              replace a DATABASE__URL there that names another database
  --no-createdb         the owner may not make databases; restore_drill then needs one given
  --seed                load the demo's sites and devices where there are no sites yet
  --recreate            drop the database first, after its name was typed
  --show-url            print DATABASE__URL with the password
  --python FILE         a Python with the requirements  (.venv/bin/python, made when missing)
END
}

fail() {
    printf 'homepot: %s\n' "$*" >&2
    exit 1
}

say() {
    printf '%s\n' "$*"
}

# Options

name=${HOMEPOT_DB_NAME:-homepot}
owner=${HOMEPOT_DB_USER:-homepot}
runtime=${HOMEPOT_DB_RUNTIME_USER:-}
host=${HOMEPOT_DB_HOST:-${PGHOST:-127.0.0.1}}
port=${HOMEPOT_DB_PORT:-${PGPORT:-5432}}
env_file=${HOMEPOT_ENV_FILE:-}
admin='' password_file='' runtime_password_file='' new_password='' switch='' seed='' recreate=''
show_url='' python='' createdb=CREATEDB

while [ $# -gt 0 ]; do
    option=$1
    shift
    case $option in
        --*=*) # as two words
            value=${option#*=}
            option=${option%%=*}
            set -- "$value" "$@"
            ;;
    esac
    case $option in
        --name | --user | --runtime-user | --host | --port | --admin-user | --password-file | \
            --runtime-password-file | --env-file | --python)
            [ $# -gt 0 ] || fail "$option needs a value."
            value=$1
            shift
            ;;
    esac
    case $option in
        --name) name=$value ;;
        --user) owner=$value ;;
        --runtime-user) runtime=$value ;;
        --host) host=$value ;;
        --port) port=$value ;;
        --admin-user) admin=$value ;;
        --password-file) password_file=$value ;;
        --runtime-password-file) runtime_password_file=$value ;;
        --env-file) env_file=$value ;;
        --python) python=$value ;;
        --new-password) new_password=yes ;;
        --switch) switch=yes ;;
        --no-createdb) createdb=NOCREATEDB ;;
        --seed) seed=yes ;;
        --recreate) recreate=yes ;;
        --show-url) show_url=yes ;;
        --help | -h)
            usage
            exit 0
            ;;
        --password | --runtime-password)
            fail "A password on the command line can be read by everybody on this machine: use" \
                "$option-file FILE, or HOMEPOT_DB_PASSWORD in the environment."
            ;;
        *) fail "There is no option $option; --help lists them." ;;
    esac
done

check_name() { # what it names, name
    [ -n "$2" ] || fail "The $1 needs a name."
    [ "$(printf %s "$2" | LC_ALL=C tr -d '[:cntrl:]')" = "$2" ] ||
        fail "The $1's name has control characters in it."
    # PostgreSQL would cut it off without an error.
    [ "$(printf %s "$2" | wc -c)" -le 63 ] || fail "The $1's name is longer than 63 bytes."
}
check_name database "$name"
check_name owner "$owner"
[ -z "$runtime" ] || check_name "second role" "$runtime"
[ "$runtime" != "$owner" ] || fail "--user and --runtime-user are two roles."
case $port in '' | *[!0-9]*) fail "--port is a number." ;; esac

absolute() { # a path, seen from where the script was called
    case $1 in '' | /*) printf %s "$1" ;; *) printf %s "$PWD/$1" ;; esac
}
password_file=$(absolute "$password_file")
runtime_password_file=$(absolute "$runtime_password_file")
env_file=$(absolute "$env_file")
python=$(absolute "$python")
cd "$(dirname "$0")/.."
env_file=${env_file:-$PWD/.env}

# What psql is told here must not be overruled from outside.
unset PGHOST PGHOSTADDR PGPORT PGUSER PGSERVICE PGOPTIONS

# The server and its programs

install_hint() { # server or client
    system=$(uname -s)
    if [ -r /etc/os-release ]; then
        # shellcheck disable=SC1091
        system=$(. /etc/os-release && printf '%s %s' "${ID:-}" "${ID_LIKE:-}")
    fi
    case "$1 $system" in
        'client Darwin') echo "brew install libpq" ;;
        *Darwin) echo "brew install postgresql@17 && brew services start postgresql@17" ;;
        client*debian*) echo "sudo apt install postgresql-client" ;;
        *debian*) echo "sudo apt install postgresql" ;;
        client*fedora* | client*rhel*) echo "sudo dnf install postgresql" ;;
        *fedora* | *rhel*)
            echo "sudo dnf install postgresql-server && sudo postgresql-setup --initdb &&" \
                "sudo systemctl enable --now postgresql"
            ;;
        *) echo "your system's packages of PostgreSQL" ;;
    esac
}

start_hint() {
    cluster=''
    if command -v pg_lsclusters >/dev/null; then # Debian's, with the version and name it has
        cluster=$(pg_lsclusters --no-header |
            awk -v "port=$port" '$3 == port { print $1, $2; exit }')
    fi
    case "$cluster $(uname -s)" in
        *Darwin) echo "brew services start postgresql@17" ;;
        ' '*) echo "sudo systemctl start postgresql" ;;
        *) echo "sudo pg_ctlcluster $cluster start" ;;
    esac
}

is_local=''
case $host in 127.* | localhost | ::1 | /*) is_local=yes ;; esac

psql=$(command -v psql) || for candidate in /usr/lib/postgresql/*/bin/psql /usr/pgsql-*/bin/psql \
    /opt/homebrew/opt/postgresql@*/bin/psql /opt/homebrew/opt/libpq/bin/psql \
    /usr/local/opt/postgresql@*/bin/psql /usr/local/opt/libpq/bin/psql \
    /Applications/Postgres.app/Contents/Versions/latest/bin/psql; do
    [ ! -x "$candidate" ] || psql=$candidate
done
if [ -z "$psql" ]; then
    if [ "$is_local" ]; then
        fail "PostgreSQL is not installed on this machine. Install it with: $(install_hint server)"
    fi
    fail "psql is not installed on this machine. Install it with: $(install_hint client)"
fi

# How to reach the server as somebody who may create roles

admin_psql() { # database, arguments of psql; statements on standard input
    # As a name alone, "a=b" would be taken for a list of settings.
    set -- "dbname='$(printf %s "$1" | sed "s/[\\\\']/\\\\&/g")'" "$@"
    connection=$1
    shift 2
    set -- -X -q -A -t -w -v ON_ERROR_STOP=1 -p "$port" -d "$connection" "$@"
    case $host in /*) set -- -h "$host" "$@" ;; esac
    case $route in
        named) "$psql" -h "$host" -U "$admin" "$@" ;;
        self) "$psql" "$@" ;;
        # postgres may not be allowed into this folder, and psql would say so each time.
        root) (cd / && runuser -u postgres -- "$psql" "$@") ;;
        sudo) (cd / && sudo -u postgres -- "$psql" "$@") ;;
    esac
}

FACTS="SELECT current_setting('server_version_num')::int / 10000,
    rolsuper, rolsuper OR rolcreaterole AND rolcreatedb
    FROM pg_roles WHERE rolname = current_user;"

ask_for_facts() { # sets facts: version|superuser|may create; or problem
    if facts=$(say "$FACTS" | admin_psql postgres 2>&1); then
        problem=''
    else
        problem=${facts#psql: error: }
        return 1
    fi
}

if [ "$admin" ]; then
    route=named
    if ! ask_for_facts && [ -t 0 ]; then
        case $problem in
            *password*)
                printf 'Password of %s at %s: ' "$admin" "$host" >&2
                stty -echo
                trap 'stty echo' EXIT
                IFS= read -r PGPASSWORD
                stty echo
                trap - EXIT
                echo >&2
                export PGPASSWORD
                ask_for_facts || :
                ;;
        esac
    fi
elif [ -z "$is_local" ]; then
    fail "$host is another machine: name a role of that server that may create roles and" \
        "databases with --admin-user."
else
    route=self
    if ! ask_for_facts || [ "${facts##*|}" != t ]; then
        if [ "$(id -u)" -eq 0 ] && command -v runuser >/dev/null; then
            route=root
        elif [ "$(id -un)" != postgres ] && command -v sudo >/dev/null; then
            route=sudo
        fi
        [ "$route" = self ] || ask_for_facts || :
    fi
fi
case $is_local$problem in
    yes | '') ;;
    yes*'No such file'* | yes*refused* | yes*'unknown user'* | yes*'user postgres does not exist'*)
        fail "No PostgreSQL server answers on port $port of this machine. To start one:" \
            "$(start_hint). To install one: $(install_hint server)"
        ;;
    *'does not exist'* | *'eer authentication'*)
        fail "$problem. Run this as root or as the system user postgres, or name a role that may" \
            "create others with --admin-user."
        ;;
    *'no password supplied'* | *'password authentication failed'*)
        fail "$problem. $admin's password is taken from PGPASSWORD, ~/.pgpass or the terminal."
        ;;
    *) fail "$problem" ;;
esac
version=${facts%%|*}
is_superuser=${facts#*|}
is_superuser=${is_superuser%%|*}
[ "$version" -ge 14 ] || fail "The server is PostgreSQL $version; HOMEPOT needs 14 or newer."
[ "${facts##*|}" = t ] ||
    fail "${admin:-$(id -un)} may not create roles and databases there: name one that may with" \
        "--admin-user."

# What is there

one_value() { # statement, arguments of psql
    statement=$1
    shift
    say "$statement" | admin_psql postgres "$@"
}
role_exists() {
    [ "$(one_value "SELECT 1 FROM pg_roles WHERE rolname = :'role';" -v "role=$1")" ]
}
facts=$(one_value "SELECT pg_encoding_to_char(encoding), pg_get_userbyid(datdba)
    FROM pg_database WHERE datname = :'name';" -v "name=$name")
if [ "$facts" ] && [ "$recreate" ]; then
    say "--recreate drops the database $name on $host with everything in it, for good."
    printf 'Type its name to go on: '
    IFS= read -r typed || typed=''
    [ "$typed" = "$name" ] || fail "That is not its name. Nothing was changed."
    drop=yes
else
    drop=''
    encoding=${facts%%|*}
    current_owner=${facts#*|}
    if [ "$facts" ] && [ "$encoding" != UTF8 ]; then
        fail "The database $name has the encoding $encoding, and HOMEPOT writes every script:" \
            "choose another name or --recreate it."
    fi
    if [ "$facts" ] && [ "$current_owner" != "$owner" ]; then
        tables=$(say "SELECT count(*) FROM pg_tables WHERE schemaname = 'public';" |
            admin_psql "$name")
        [ "$tables" = 0 ] ||
            fail "The database $name belongs to the role $current_owner and holds tables: choose" \
                "another --name, or --user $current_owner."
    fi
fi

# Python, accounts and .env

if [ -z "$python" ]; then
    sh scripts/python -m scripts.environment requirements.txt
    python=$PWD/.venv/bin/python
fi
[ -x "$python" ] || fail "$(id -un) may not run $python."
run_python() {
    # .env is what counts here, whatever the environment says.
    (
        unset DATABASE__URL DATABASE__OWNER_URL
        HOMEPOT_ENV_FILE=$env_file
        export HOMEPOT_ENV_FILE
        exec "$python" "$@"
    )
}

keep_account() { # variable, role, password file; says the verifier of the password
    set -- "$1" --user "$2" --password-file "$3" --host "$host" --port "$port" --name "$name" \
        ${new_password:+--new-password} ${switch:+--switch}
    if role_exists "$3"; then
        set -- "$@" --role-exists
    fi
    run_python -m scripts.database_account keep "$@"
}

set_role() { # role, verifier, attributes
    admin_psql postgres -v "role=$1" <<END
\\set verifier '$2'
SELECT format('CREATE ROLE %I', :'role')
    WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = :'role') \\gexec
ALTER ROLE :"role" LOGIN $3 PASSWORD :'verifier';
END
}

variable=DATABASE__URL
[ -z "$runtime" ] || variable=DATABASE__OWNER_URL
# The owner first: until now its password may stand in the variable that the other one takes over.
verifier=$(keep_account "$variable" "$owner" "$password_file")
set_role "$owner" "$verifier" "$createdb"
if [ "$runtime" ]; then
    verifier=$(
        export HOMEPOT_DB_PASSWORD="${HOMEPOT_DB_RUNTIME_PASSWORD:-}"
        keep_account DATABASE__URL "$runtime" "$runtime_password_file"
    )
    set_role "$runtime" "$verifier" ""
fi

# The database

if [ "$is_superuser" != t ]; then
    # Who is no superuser hands a database only to a role that it is a member of.
    say 'SET client_min_messages = error; GRANT :"owner" TO CURRENT_USER;' |
        admin_psql postgres -v "owner=$owner"
fi
if [ "$drop" ]; then
    say 'DROP DATABASE :"name";' | admin_psql postgres -v "name=$name"
    say "Dropped the database $name."
    facts=''
fi
if [ -z "$facts" ]; then
    # Text sorts by code point, as in SQLite: the same pages on both, and no index that an update
    # of the system's locales breaks.
    if [ "$version" -ge 17 ]; then
        locale="LOCALE_PROVIDER builtin LOCALE 'C' BUILTIN_LOCALE 'C.UTF-8'"
    else
        locale=$(one_value "SELECT format('LC_COLLATE ''C'' LC_CTYPE %L', collctype)
            FROM pg_collation WHERE lower(collname) IN ('c.utf8', 'c.utf-8') LIMIT 1;")
    fi
    admin_psql postgres -v "name=$name" -v "owner=$owner" <<END
CREATE DATABASE :"name" OWNER :"owner" TEMPLATE template0 ENCODING 'UTF8' $locale;
END
    say "Created the database $name."
elif [ "$current_owner" != "$owner" ]; then
    say 'ALTER DATABASE :"name" OWNER TO :"owner";' |
        admin_psql postgres -v "name=$name" -v "owner=$owner"
fi

# Since PostgreSQL 15 only the database's owner may make tables; 14 lets everybody.
admin_psql "$name" -v "name=$name" -v "owner=$owner" <<'END'
SET client_min_messages = error;
REVOKE ALL ON DATABASE :"name" FROM PUBLIC;
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
GRANT USAGE, CREATE ON SCHEMA public TO :"owner";
END
if [ "$runtime" ]; then
    admin_psql "$name" -v "name=$name" -v "owner=$owner" -v "runtime=$runtime" <<'END'
SET client_min_messages = error;
GRANT CONNECT, TEMPORARY ON DATABASE :"name" TO :"runtime";
GRANT USAGE ON SCHEMA public TO :"runtime";
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO :"runtime";
GRANT USAGE, SELECT, UPDATE ON ALL SEQUENCES IN SCHEMA public TO :"runtime";
ALTER DEFAULT PRIVILEGES FOR ROLE :"owner" IN SCHEMA public
    GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO :"runtime";
ALTER DEFAULT PRIVILEGES FOR ROLE :"owner" IN SCHEMA public
    GRANT USAGE, SELECT, UPDATE ON SEQUENCES TO :"runtime";
END
fi

# The tables, as the service will reach them

for variable in DATABASE__URL ${runtime:+DATABASE__OWNER_URL}; do
    if ! run_python -m scripts.database_account check "$variable"; then
        hba_file=$(one_value "SHOW hba_file;" 2>/dev/null) || hba_file=pg_hba.conf
        fail "The role was made, but cannot sign in with its password. $hba_file, on the" \
            "server, needs a line such as: host \"$name\" \"${runtime:-$owner}\"" \
            "<address of this machine>/32 scram-sha-256. It is read again after:" \
            "SELECT pg_reload_conf()"
    fi
done
run_python manage.py migrate --verbosity 1
if [ "$seed" ]; then
    if [ "$(say "SELECT 1 FROM sites LIMIT 1;" | admin_psql "$name")" ]; then
        say "There are sites already: the demo's are not loaded."
    else
        run_python manage.py loaddata seed
    fi
fi

say "PostgreSQL $version at $host:$port is ready."
run_python -m scripts.database_account show DATABASE__URL ${show_url:+--with-password}
if [ "${DATABASE__URL:-}" ]; then
    say "The environment sets DATABASE__URL too, and wins over $env_file."
fi
