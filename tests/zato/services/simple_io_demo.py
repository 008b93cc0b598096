# -*- coding: utf-8 -*-

# Zato
from zato.server.service import Service

class GetList(Service):
    """ Returns a list of users.
    """
    class SimpleIO:
        input_required = 'company_id',
        input_optional = 'should_include_inactive',
        output_required = 'user_id', 'user_name'
        output_optional = 'is_admin',
        output_repeated = True
        default_value = None

    def handle(self):
        self.response.payload[:] = [
            {'user_id': 1, 'user_name': 'ann', 'is_admin': 'true'},
            {'user_id': 2, 'user_name': 'bob-{}'.format(self.request.input.company_id)},
        ]
