# ruby templates.rb GITLAB DISCOURSE < ["name", …]: both templates expanded as the two hosts do, as JSON.
# GitLab: app/services/gravatar_service.rb; Discourse: User.system_avatar_template (app/models/user.rb).
require "digest"
require "erb"
require "json"

gitlab, discourse = ARGV
rows = JSON.parse($stdin.read).map do |name|
  email = "#{name}@Example.com"
  hash = Digest::SHA256.hexdigest(email.strip.downcase)
  encoded = ERB::Util.url_encode(name)
  {
    hash: hash,
    gitlab: format(
      gitlab, hash: hash, size: 160, email: ERB::Util.url_encode(email.strip), username: encoded
    ),
    discourse: discourse.dup.tap { |url| url.gsub!("{username}", encoded) }.gsub("{size}", "96"),
  }
end
puts JSON.generate(rows)
