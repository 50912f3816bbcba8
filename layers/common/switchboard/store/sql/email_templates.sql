-- Templates of e-mails.

-- name: list
select id, name, language, subject, text_body, html_body, created_at, updated_at
from messaging.email_templates
where tenant_id = %(tenant)s and (created_at, id) < (%(before)s::timestamptz, %(before_id)s::uuid)
order by created_at desc, id desc limit %(limit)s

-- name: find
select id, name, language, subject, text_body, html_body, created_at, updated_at
from messaging.email_templates
where tenant_id = %(tenant)s and id = %(id)s

-- name: find_named
select id, name, language, subject, text_body, html_body, created_at, updated_at
from messaging.email_templates
where tenant_id = %(tenant)s and name = %(name)s and language = %(language)s

-- name: insert
-- Where the link was lost at the commit, the first run has written it.
insert into messaging.email_templates (tenant_id, id, name, language, subject, text_body, html_body)
values (%(tenant)s, %(id)s, %(name)s, %(language)s, %(subject)s, %(text_body)s, %(html_body)s)
on conflict (tenant_id, id) do nothing

-- name: update
-- What is not named stays as it is now: two changes at once are both made.
update messaging.email_templates
set subject = coalesce(%(subject)s, subject), text_body = coalesce(%(text_body)s, text_body),
    html_body = case when %(has_html)s then %(html_body)s else html_body end
where tenant_id = %(tenant)s and id = %(id)s

-- name: delete
delete from messaging.email_templates where tenant_id = %(tenant)s and id = %(id)s
