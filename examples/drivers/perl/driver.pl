# Drives Perl's LWP::Authen::OAuth2 in JSON lines; see docs/drivers.md. The library knows other
# grants; the class Provider defines the parameters of this one, as its documentation describes.

use strict;
use warnings;
use Time::HiRes ();

my $ahead = 0;
BEGIN { *CORE::GLOBAL::time = sub () { int(Time::HiRes::time() + ($ahead // 0)) } }

package Provider;
use parent 'LWP::Authen::OAuth2::ServiceProvider';

BEGIN { $INC{'Provider.pm'} = __FILE__ }

sub authorization_endpoint  { 'http://unused.invalid/' }
sub request_required_params { qw(grant_type client_id client_secret) }
sub request_optional_params { 'scope' }
sub request_default_params  { (grant_type => 'client_credentials') }
sub refresh_required_params { request_required_params() }
sub refresh_optional_params { 'scope' }
sub refresh_default_params  { request_default_params() }

sub init {
    my ($self, $options) = @_;
    $self->{token_endpoint} = delete $options->{token_url};
    $self->SUPER::init($options);
}

package main;
use Encode 'encode_utf8';
use HTTP::Request;
use JSON::PP;
use LWP::Authen::OAuth2;
use LWP::UserAgent;

my $json = JSON::PP->new->utf8->canonical;
my %clients;

sub opened {
    my ($config) = @_;
    my %trust = $config->{ca_file} ? (ssl_opts => { SSL_ca_file => $config->{ca_file} }) : ();
    return LWP::Authen::OAuth2->new(
        service_provider => 'Provider',
        user_agent       => LWP::UserAgent->new(timeout => $config->{timeout}, %trust),
        (map { $_ => $config->{$_} } qw(token_url client_id client_secret)),
        length $config->{scope} ? (scope => $config->{scope}) : (),
    );
}

# As the library's synopsis has it: the first token is asked for, and looked after from then on.
sub ready {
    my ($client) = @_;
    $client->request_tokens unless $client->access_token;
    return $client;
}

sub get_token {
    my $client = ready(shift);
    $client->refresh_access_token if $client->should_refresh;
    return $client->access_token->{access_token};
}

sub call {
    my ($client, $asked) = @_;
    my $body    = defined $asked->{body} ? encode_utf8($asked->{body}) : undef;
    my $request = HTTP::Request->new($asked->{method}, $asked->{url}, [%{ $asked->{headers} }], $body);
    my $answer  = ready($client)->request($request);
    die 'Status: ' . $answer->status_line . "\n"
        if ($answer->header('Client-Warning') // '') eq 'Internal response';
    return $answer->code + 0;
}

sub error_of {
    my ($error) = @_;
    my ($kind, $code) = ('malformed', '');
    if    ($error =~ /^OAuth2 error: (\S+)/)                { ($kind, $code) = ('oauth', $1) }
    elsif ($error =~ /^Status: 500 .*time(?:out|d out)/mi)  { $kind = 'timeout' }
    elsif ($error =~ /^Status: 500 (?:Can't|Server closed|read failed|Status read)/m) { $kind = 'transport' }
    elsif ($error =~ /^Status: [3-5]\d\d/m)                 { $kind = 'http' }
    return { kind => $kind, code => $code, message => "$error" };
}

my %operations = (
    hello => sub {
        return { name => 'LWP::Authen::OAuth2', version => $LWP::Authen::OAuth2::VERSION,
            capabilities => [qw(get_token request clock)] };
    },
    open      => sub { $clients{ $_[0]{client} } = opened($_[0]{config}); +{} },
    get_token => sub { return { access_token => get_token($clients{ $_[0]{client} }) } },
    request   => sub { return { status => call($clients{ $_[0]{client} }, $_[0]) } },
    advance   => sub { $ahead += $_[0]{seconds}; +{} },
    close     => sub { delete $clients{ $_[0]{client} }; +{} },
    bye       => sub { +{} },
);

$| = 1;
while (my $line = <STDIN>) {
    my $asked = $json->decode($line);
    my $said  = { unsupported => JSON::PP::true };
    if (my $operation = $operations{ $asked->{op} }) {
        my $ok = eval { $operation->($asked) };
        $said = $ok ? { ok => $ok } : { err => error_of($@) };
    }
    print $json->encode({ id => $asked->{id}, %$said }), "\n";
    last if $asked->{op} eq 'bye';
}
