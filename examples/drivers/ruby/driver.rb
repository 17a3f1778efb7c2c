# Drives Ruby's oauth2 in JSON lines; see docs/drivers.md. The library fetches and signs; the
# driver keeps the token for as long as its `expired?` says.

gem "oauth2"

require "json"
require "oauth2"

VERSION = Gem.loaded_specs["oauth2"].version.to_s

$ahead = 0
class << Time
  alias_method :really_now, :now
  def now(...)
    really_now(...) + $ahead
  end
end

class Client
  def initialize(config)
    @scope = config["scope"]
    options = { timeout: config["timeout"], open_timeout: config["timeout"] }
    ssl = config["ca_file"] ? { ca_file: config["ca_file"] } : {}
    @oauth = OAuth2::Client.new(
      config["client_id"], config["client_secret"],
      token_url: config["token_url"], auth_scheme: :basic_auth, raise_errors: true,
      connection_opts: { request: options, ssl: ssl }
    )
  end

  def token
    @token = nil if @token&.expired?
    @token ||= @oauth.client_credentials.get_token(@scope.empty? ? {} : { scope: @scope })
  end

  def request(method, url, headers, body)
    token.request(method.downcase.to_sym, url, headers: headers, body: body, raise_errors: false)
  end
end

def error_of(error)
  case error
  when OAuth2::Error
    { kind: error.code ? "oauth" : "malformed", code: error.code.to_s, message: error.message }
  when Faraday::TimeoutError then { kind: "timeout", code: "", message: error.message }
  when Faraday::Error then { kind: "transport", code: "", message: error.message }
  else { kind: "malformed", code: "", message: "#{error.class}: #{error.message}" }
  end
end

clients = {}
operations = {
  "hello" => ->(_) { { name: "oauth2", version: VERSION, capabilities: %w[get_token request burst clock] } },
  "open" => ->(asked) { clients[asked["client"]] = Client.new(asked["config"]); {} },
  "get_token" => ->(asked) { { access_token: clients[asked["client"]].token.token } },
  "request" => lambda do |asked|
    answer = clients[asked["client"]].request(*asked.values_at("method", "url", "headers", "body"))
    { status: answer.status }
  end,
  "burst" => lambda do |asked|
    begun = Array.new(asked["count"]) { Thread.new { clients[asked["client"]].token.token } }
    { access_tokens: begun.each { |thread| thread.report_on_exception = false }.map(&:value) }
  end,
  "advance" => ->(asked) { $ahead += asked["seconds"]; {} },
  "close" => ->(asked) { clients.delete(asked["client"]); {} },
  "bye" => ->(_) { {} },
}

$stdout.sync = true
$stdin.each_line do |line|
  asked = JSON.parse(line)
  answer = { id: asked["id"] }
  if operations.key?(asked["op"])
    begin
      answer[:ok] = operations[asked["op"]].call(asked)
    rescue StandardError => error
      answer[:err] = error_of(error)
    end
  else
    answer[:unsupported] = true
  end
  puts JSON.generate(answer)
  break if asked["op"] == "bye"
end
