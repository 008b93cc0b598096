# -*- coding: utf-8 -*-

""" Logs users in, with a limit of attempts in Redis. """

# Zato
from zato.common.exception import TooManyRequests, Unauthorized
from zato.server.service import Service

MAX_ATTEMPTS = 3


class SignUp(Service):
    input = 'username', 'password'

    def handle(self):
        hashed = self.crypto.hash_secret(self.request.input.password)
        self.out.sql['Reporting'].execute('INSERT INTO user (username, password) VALUES (:u, :p)',
            {'u': self.request.input.username, 'p': hashed})


class Login(Service):
    input = 'username', 'password'
    output = 'token', '-last_login'

    def handle(self):
        username = self.request.input.username
        key = 'login:attempts:{}'.format(username)
        if int(self.kvdb.conn.get(key) or 0) >= MAX_ATTEMPTS:
            raise TooManyRequests(self.cid, 'Try again later')
        if not self.is_valid(username):
            with self.kvdb.conn.pipeline() as pipe:
                pipe.incr(key)
                pipe.expire(key, 60)
                pipe.execute()
            raise Unauthorized(self.cid, 'Invalid credentials', 'Basic')
        self.kvdb.conn.delete(key)
        token = self.crypto.generate_secret()
        self.response.payload.token = token
        self.response.payload.last_login = self.redis.getset('login:last:' + username, self.time.utcnow())
        self.kvdb.conn.set('login:token:' + token, username, ex=3600)

    def is_valid(self, username):
        row = self.out.sql['Reporting'].one_or_none(
            'SELECT password FROM user WHERE username=:u', {'u': username})
        return row and self.crypto.verify_hash(self.request.input.password, row['password'])


class WhoAmI(Service):
    input = 'token'

    def handle(self):
        username = self.kvdb.conn.get('login:token:' + self.request.input.token)
        if not username:
            raise Unauthorized(self.cid, 'Token expired', None)
        self.response.payload = {'username': username}
