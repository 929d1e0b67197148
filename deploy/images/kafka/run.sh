#!/bin/bash
# Writes the broker's settings from the variables KAFKA_* (KAFKA_LOG_DIRS is log.dirs), formats a
# fresh data directory and becomes the broker. Variables of the start itself are no settings.
set -eu
config=/opt/kafka/config/server.properties
env | grep '^KAFKA_' | grep -Ev '^KAFKA_(HEAP_OPTS|OPTS|JMX_)' | while IFS='=' read -r name value; do
  name=${name#KAFKA_}
  name=${name//_/.}
  echo "${name,,}=$value"
done >"$config"
java=(/opt/java/bin/java ${KAFKA_HEAP_OPTS:--Xms256m -Xmx512m} -XX:+UseSerialGC -XX:+ExitOnOutOfMemoryError
  -Djava.awt.headless=true "-Dlog4j2.configurationFile=/opt/kafka/log4j2.yaml"
  -Dkafka.logs.dir=/opt/kafka/logs ${KAFKA_OPTS:-} -cp "/opt/kafka/libs/*")
"${java[@]}" kafka.tools.StorageTool format --ignore-formatted --cluster-id "$CLUSTER_ID" \
  --config "$config" >/dev/null
exec "${java[@]}" kafka.Kafka "$config"
