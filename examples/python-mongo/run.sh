#!/bin/sh
# The development environment in plain docker commands: what compose.yaml describes, step by step.
# Names, network, volume and labels are Compose's own, so it works on the same containers and data.
# `sh -x run.sh up` shows every command.
set -eu
cd "$(dirname "$0")"
directory=$(pwd -P)

usage() {
    cat <<END
Usage: ./run.sh COMMAND

  env              write .env (once per checkout)
  up               build the image and start everything
  stop             stop the containers
  down             remove the containers and the network; the data stays
  logs [SERVICE]   follow the logs of app, db
  shell [SERVICE]  open a shell in a running container
  db               open the database's own shell
  test             run the tests in a container
END
}

say() { printf '==> %s\n' "$*"; }

fail() {
    printf 'run.sh: %s\n' "$*" >&2
    exit 1
}

# sha256sum on Linux, shasum on macOS.
sha256() {
    if command -v sha256sum >/dev/null; then sha256sum; else shasum -a 256; fi | cut -d ' ' -f 1
}

random_hex() { od -A n -t x1 -N 16 /dev/urandom | tr -d ' \n'; }

# .env is .env.example with a project name of this checkout alone (two clones never share
# containers or data) and generated passwords. Only its owner can read it.
write_env() {
    suffix=$(printf %s "$directory" | sha256 | cut -c 1-8)
    umask 077
    while IFS= read -r line || [ -n "$line" ]; do
        case $line in
        COMPOSE_PROJECT_NAME=*) line=$line-$suffix ;;
        [A-Z]*_PASSWORD= | [A-Z]*_SECRET=) line=$line$(random_hex) ;;
        esac
        printf '%s\n' "$line"
    done <.env.example >.env.new
    mv .env.new .env
    say "Wrote .env"
}

# A variable of the shell wins over .env, as it does with Compose.
read_env() {
    [ -e .env ] || fail "there is no .env yet; ./run.sh env writes it"
    while IFS= read -r line || [ -n "$line" ]; do
        case $line in
        [A-Z]*=*) ;;
        *) continue ;;
        esac
        name=${line%%=*} value=${line#*=}
        case $value in
        \"*\") value=${value#\"} value=${value%\"} ;;
        \'*\') value=${value#\'} value=${value%\'} ;;
        esac
        printenv "$name" >/dev/null || export "$name=$value"
    done <.env

    project=${COMPOSE_PROJECT_NAME:?set it in .env}
    network=${project}_backend
    volume=${project}_db-data
    image=$project-app
    export LOG_LEVEL="${LOG_LEVEL:-info}"
    export MONGO_INITDB_DATABASE=app MONGO_INITDB_ROOT_USERNAME=app
    export MONGO_INITDB_ROOT_PASSWORD="${MONGO_INITDB_ROOT_PASSWORD:?set it in .env}"
    export DATABASE_URL="mongodb://app:$MONGO_INITDB_ROOT_PASSWORD@db:27017/app?authSource=admin"
    settings=$(cat run.sh .env | sha256)
}


# build TARGET TAG: the certificates of a TLS-inspecting proxy go in as a secret, and do not stay.
build() {
    bundle=${CA_BUNDLE:-${SSL_CERT_FILE:-${REQUESTS_CA_BUNDLE:-${NODE_EXTRA_CA_CERTS:-/dev/null}}}}
    docker buildx build --load --target "$1" --tag "$2" \
        --label "com.docker.compose.project=$project" \
        --build-arg "REGISTRY=${REGISTRY:-}" --secret "id=ca_bundle,src=$bundle" .
}

create_network() {
    docker network inspect "$network" >/dev/null 2>&1 && return
    say "Creating network $network"
    docker network create \
        --label "com.docker.compose.project=$project" \
        --label com.docker.compose.network=backend \
        "$network" >/dev/null
}

# locked_down OPTION... IMAGE [COMMAND...]: docker run with the options that all services share.
# --env NAME takes the value from this script's environment: no password is on a command line.
locked_down() {
    docker run --init --read-only --tmpfs /tmp --cap-drop ALL \
        --security-opt no-new-privileges:true --memory 512m --network "$network" "$@"
}

# service NAME OPTION... IMAGE [COMMAND...]: a container under Compose's name and labels.
service() {
    service=$1
    shift
    remove "$project-$service-1"
    locked_down --name "$project-$service-1" --network-alias "$service" \
        --label "com.docker.compose.project=$project" \
        --label "com.docker.compose.service=$service" \
        --label com.docker.compose.container-number=1 \
        --label com.docker.compose.oneoff=False \
        --label "com.docker.compose.config-hash=$settings" \
        --label "com.docker.compose.project.working_dir=$directory" \
        --label "com.docker.compose.project.config_files=$directory/compose.yaml" \
        "$@"
}

# Does this container run, from this image, with the settings of today?
is_current() {
    format='{{.State.Running}} {{.Image}} {{index .Config.Labels "com.docker.compose.config-hash"}}'
    wanted="true $(docker image inspect --format '{{.Id}}' "$2") $settings"
    [ "$(docker inspect --format "$format" "$1" 2>/dev/null)" = "$wanted" ]
}

wait_until_healthy() {
    while :; do
        case $(docker inspect --format '{{.State.Status}} {{.State.Health.Status}}' "$1") in
        'running healthy') return ;;
        'running starting') sleep 0.2 ;;
        *)
            docker logs --tail 20 "$1" >&2
            fail "$1 is not healthy"
            ;;
        esac
    done
}

remove() {
    docker container inspect "$1" >/dev/null 2>&1 || return 0
    docker stop "$1" >/dev/null
    docker rm "$1" >/dev/null
}

containers() {
    docker ps --quiet --filter "label=com.docker.compose.project=$project" "$@"
}

start_database() {
    db_image=${REGISTRY:-}mongo:8
    docker image inspect "$db_image" >/dev/null 2>&1 || docker pull "$db_image"
    if ! docker volume inspect "$volume" >/dev/null 2>&1; then
        say "Creating volume $volume"
        docker volume create \
            --label "com.docker.compose.project=$project" \
            --label com.docker.compose.volume=db-data \
            "$volume" >/dev/null
    fi
    if ! is_current "$project-db-1" "$db_image"; then
        say "Starting the database"
        # The check asks on the outer address: during the first start the server listens only on loopback.
        service db --detach --user mongodb --tmpfs /data/configdb:mode=1777 \
            --env MONGO_INITDB_DATABASE --env MONGO_INITDB_ROOT_USERNAME --env MONGO_INITDB_ROOT_PASSWORD \
            --publish "127.0.0.1:${DB_PORT:?set it in .env}:27017" \
            --mount "type=volume,source=$volume,target=/data/db" \
            --health-cmd "bash -c '</dev/tcp/\$HOSTNAME/27017'" \
            --health-interval 10s --health-timeout 3s --health-retries 3 \
            --health-start-period 60s --health-start-interval 250ms \
            --stop-timeout 30 "$db_image" >/dev/null
    fi
    wait_until_healthy "$project-db-1"
}

up() {
    say "Building image $image"
    build final "$image"
    create_network
    start_database
    if ! is_current "$project-app-1" "$image"; then
        say "Starting the app"
        service app --detach --env DATABASE_URL --env LOG_LEVEL \
            --label dev.scaffold.ready=/readyz \
            --publish "127.0.0.1:${APP_PORT:?set it in .env}:8000" \
            --health-cmd "python -c \"from urllib.request import urlopen; urlopen('http://127.0.0.1:8000/readyz')\"" \
            --health-interval 10s --health-timeout 3s --health-retries 3 \
            --health-start-period 60s --health-start-interval 500ms "$image" >/dev/null
    fi
    wait_until_healthy "$project-app-1"
    say "Ready: http://127.0.0.1:$APP_PORT"
}

stop() {
    for container in $(containers); do docker stop "$container" >/dev/null; done
    say "Stopped"
}

down() {
    for container in $(containers --all); do remove "$container"; done
    docker network inspect "$network" >/dev/null 2>&1 && docker network rm "$network" >/dev/null
    say "Removed the containers and the network. The data stays in volume $volume"
}

# inside SERVICE COMMAND...: with a terminal when there is one.
inside() {
    container=$project-$1-1
    shift
    if [ -t 0 ]; then set -- --tty "$container" "$@"; else set -- "$container" "$@"; fi
    docker exec --interactive "$@"
}

run_tests() {
    say "Building image $project-test"
    build test "$project-test"
    create_network
    start_database
    locked_down --rm --env DATABASE_URL "$project-test"
}

command=${1:-help}
[ $# -eq 0 ] || shift
case $command in
env)
    if [ -e .env ]; then say ".env is there already; nothing changed"; else write_env; fi
    exit
    ;;
up | test) [ -e .env ] || write_env ;;
stop | down | logs | shell | db) ;;
help | -h | --help)
    usage
    exit
    ;;
*)
    usage >&2
    exit 2
    ;;
esac

read_env
case $command in
up) up ;;
stop) stop ;;
down) down ;;
logs) docker logs --follow "$project-${1:-app}-1" ;;
shell) inside "${1:-app}" bash ;;
# The shell takes the password from its environment.
db)
    inside db mongosh --quiet --nodb --shell --eval 'const { MONGO_INITDB_ROOT_PASSWORD: password } = process.env;
        db = connect("mongodb://app:" + password + "@127.0.0.1/app?authSource=admin");'
    ;;
test) run_tests ;;
esac
