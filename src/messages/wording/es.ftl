# Español.

weekday_1 = lunes
weekday_2 = martes
weekday_3 = miércoles
weekday_4 = jueves
weekday_5 = viernes
weekday_6 = sábado
weekday_7 = domingo
month_1 = enero
month_2 = febrero
month_3 = marzo
month_4 = abril
month_5 = mayo
month_6 = junio
month_7 = julio
month_8 = agosto
month_9 = septiembre
month_10 = octubre
month_11 = noviembre
month_12 = diciembre
date = { $weekday }, { $day } de { $month } de { $year }

hello = Hola, { $name }:
when = Cuándo
when_at = { $date }, de { $from } a { $until }
zone = Zona horaria
at_home = A su hora
with = Con
where = Dónde
proposed = Propuesta
expires = Válido hasta
credential = Acreditación
code = Su código
open_visit = Abrir la cita
open_app = Abrir Knead
choose_password = Elegir una contraseña nueva
undo = Deshacer el cambio
footer = Recibe este mensaje porque tiene una cuenta en Knead. La dirección exacta y todo lo relativo a la salud se quedan en la aplicación.
footer_settings = Sobre qué le escribimos, y en qué idioma:
unsubscribe = No más recordatorios:
unsubscribe_title = Recordatorios de citas
unsubscribe_ask = ¿No quiere más recordatorios por correo?
unsubscribe_button = No más recordatorios
unsubscribe_done = Ya no recibe recordatorios por correo. Puede volver a activarlos en los ajustes de la aplicación.

visit_booked =
    .subject = { $side ->
        [client] Su masaje del { $date }
       *[therapist] Nueva cita el { $date }
    }
    .lead = { $side ->
        [client] Su cita está reservada. { $other } irá a su casa.
       *[therapist] { $other } ha reservado una cita con usted.
    }
visit_requested =
    .subject = Una cita el { $date }: ¿sí o no?
    .lead = { $other } desea una cita. La hora queda reservada para usted hasta que conteste o hasta que venza el plazo.
request_sent =
    .subject = Su solicitud para el { $date }
    .lead = Hemos preguntado a { $other }. La hora queda reservada para usted mientras tanto, y le escribiremos cuando haya respuesta.
visit_confirmed =
    .subject = { $side ->
        [client] Confirmado: su masaje del { $date }
       *[therapist] Confirmada: su cita del { $date }
    }
    .lead = { $side ->
        [client] { $other } ha aceptado e irá a su casa.
       *[therapist] Ha confirmado la cita con { $other }.
    }
request_declined =
    .subject = No hay cita el { $date }
    .lead = { $other } no puede ir a esa hora. No se cobra nada. Quizá haya otros terapeutas libres.
request_expired =
    .subject = Sin respuesta para el { $date }
    .lead = { $other } no ha contestado a tiempo, así que la solicitud ha vencido. No se cobra nada. Quizá haya otros terapeutas libres.
visit_cancelled =
    .subject = Cancelada: la cita del { $date }
    .lead = La cita con { $other } está cancelada. Lo que cuesta, si cuesta algo, se indica con la cita.
visit_called_off =
    .subject = Anulada: la cita del { $date }
    .lead = La cita con { $other } no puede tener lugar y hemos tenido que anularla. { $side ->
        [client] Lo que cuesta, si cuesta algo, se indica con la cita.
       *[therapist] El motivo se indica con la cita.
    }
visit_moved =
    .subject = Cambiada: su cita es ahora el { $date }
    .lead = La cita con { $other } tiene otra hora.
visit_reassigned =
    .subject = Otra persona irá el { $date }
    .lead = { $other } se hace cargo de su cita, a la misma hora. Puede cancelarla sin coste.
visit_taken_over =
    .subject = Se hace cargo de una cita el { $date }
    .lead = La cita con { $other } es ahora suya.
visit_given_away =
    .subject = La cita del { $date } ya no es suya
    .lead = Otra persona se hace cargo. Usted ya no tiene que hacer nada.
time_proposed =
    .subject = ¿Otra hora para su cita del { $date }?
    .lead = { $other } propone otra hora. Mientras usted no acepte, la cita sigue como está.
proposal_declined =
    .subject = La cita del { $date } sigue como está
    .lead = { $other } no acepta la otra hora. La cita sigue como estaba.
proposal_withdrawn =
    .subject = La cita del { $date } sigue como está
    .lead = { $other } ha retirado su propuesta de otra hora. La cita sigue como estaba.
visit_delayed =
    .subject = { $other } llegará más tarde el { $date }
    .lead = { $other } se retrasa. La hora a la que se espera que empiece su cita se muestra con ella.
visit_extended =
    .subject = La cita del { $date } dura más
    .lead = La cita con { $other } termina a otra hora.
visit_at_risk =
    .subject = Su cita del { $date } está en riesgo
    .lead = Tal como están las cosas, no puede realizar la cita con { $other }, porque falta una acreditación o ya no es válida. Si sigue así, la cita se anulará.
visit_restored =
    .subject = Su cita del { $date } vuelve a estar segura
    .lead = Puede realizar la cita con { $other } después de todo.
visit_handed_over =
    .subject = { $other } no puede ir el { $date }
    .lead = Buscamos a otra persona. Puede esperar, cambiar la cita o cancelarla sin coste.
visit_taken_back =
    .subject = { $other } sí puede ir el { $date }
    .lead = Su cita sigue como estaba.
visit_free_again =
    .subject = La cita del { $date } sería posible después de todo
    .lead = Tuvimos que anular su cita con { $other }. La hora vuelve a estar libre: puede reservarla otra vez.
visit_local_time_changed =
    .subject = Compruebe la hora de su cita del { $date }
    .lead = Las reglas horarias han cambiado en el lugar de la cita. Es en el mismo instante que antes, pero los relojes marcan allí otra hora.
visit_completed =
    .subject = ¿Qué tal su masaje?
    .lead = Su cita con { $other } ha terminado. Una valoración ayuda a los demás y le dice a { $other } cómo fue.
no_show_reported =
    .subject = La cita del { $date } no tuvo lugar
    .lead = { $other } ha avisado de que usted no estaba. Si no es así, dígalo en la aplicación.
no_show_contested =
    .subject = { $other } lo ve de otra manera
    .lead = { $other } dice que estuvo allí el { $date }. Nuestro equipo lo está mirando.
no_show_upheld =
    .subject = La cita del { $date }: aclarado
    .lead = Queda establecido que nadie acudió a dar el masaje.
no_show_rejected =
    .subject = La cita del { $date }: aclarado
    .lead = Queda establecido que sí acudió alguien a dar el masaje.
visit_stopped =
    .subject = La cita del { $date } terminó antes de tiempo
    .lead = La cita con { $other } se interrumpió. Lo que sigue se indica con la cita.
charge_lowered =
    .subject = La cita del { $date } cuesta menos
    .lead = Nuestro equipo ha rebajado lo que se paga por la cita con { $other }.
visit_reminder =
    .subject = { $side ->
        [client] Recordatorio: su masaje del { $date }
       *[therapist] Recordatorio: su cita del { $date }
    }
    .lead = { $side ->
        [client] { $other } irá pronto a su casa.
       *[therapist] Se acerca su cita con { $other }.
    }
news =
    .subject = Hay algo para usted en Knead
    .lead = Abra la aplicación para leerlo. No es para un correo.
credential_verified =
    .subject = Su acreditación está verificada
    .lead = La hemos verificado. Desde ahora cuenta para sus citas.
credential_rejected =
    .subject = Su acreditación no ha sido aceptada
    .lead = No hemos podido aceptarla. Los motivos, y lo que puede hacer, se indican con ella.
credential_info_requested =
    .subject = Tenemos una pregunta sobre su acreditación
    .lead = Necesitamos algo más antes de decidir. Lo que falta se indica con la acreditación.
credential_suspended =
    .subject = Su acreditación está suspendida
    .lead = Por ahora no cuenta para sus citas. Los motivos se indican con ella.
credential_reinstated =
    .subject = Su acreditación vuelve a contar
    .lead = Ya no está suspendida.
credential_revoked =
    .subject = Su acreditación ha sido revocada
    .lead = Ya no cuenta para sus citas. Los motivos se indican con ella.
credential_decision_taken_back =
    .subject = Se ha retirado una decisión sobre su acreditación
    .lead = Queda como estaba antes.
credential_expires =
    .subject = Su acreditación caduca pronto
    .lead = Renuévela y anote la renovación a tiempo: las citas posteriores a su fin no se pueden reservar.
now_bookable =
    .subject = Ya se puede reservar con usted
    .lead = Todo está listo. Desde ahora le encuentran.
calendar_failing =
    .subject = No podemos leer su calendario
    .lead = Un calendario que ha vinculado no responde desde hace dos días. Mientras tanto nos guiamos por lo último que leímos. Compruebe su dirección.
webhook_disabled =
    .subject = Se ha desactivado un destino de webhooks
    .lead = No ha aceptado nuestros mensajes, así que hemos dejado de enviarlos. Mire qué ha contestado, arréglelo, actívelo y recupere lo que faltó.
verify_email =
    .subject = { $code } es su código
    .lead = Escriba este código en la aplicación para confirmar su dirección. Vale media hora. Si no lo ha pedido, no haga nada.
reset_password =
    .subject = Una contraseña nueva
    .lead = Alguien ha pedido una contraseña nueva para su cuenta. Si ha sido usted, siga aquí. Si no, no haga nada: su contraseña sigue igual.
change_email =
    .subject = { $code } es su código
    .lead = Escriba este código en la aplicación para usar desde ahora esta dirección. Si no lo ha pedido, no haga nada.
email_changed =
    .subject = Su cuenta tiene otra dirección
    .lead = Desde ahora entra con otra dirección de correo. Si no ha sido usted, deshágalo aquí en un plazo de tres días.
password_changed =
    .subject = Se ha cambiado su contraseña
    .lead = Los demás dispositivos se han desconectado. Si no ha sido usted, pida enseguida una contraseña nueva.
account_suspended =
    .subject = Su cuenta está suspendida
    .lead = Por ahora no puede usarla. Si cree que es un error, escriba a nuestro equipo.
account_reinstated =
    .subject = Su cuenta vuelve a estar abierta
    .lead = Puede usarla como antes.
account_closing =
    .subject = Su cuenta se borrará dentro de 14 días
    .lead = Si no lo ha pedido o ha cambiado de idea, entre y consérvela. Después nadie podrá recuperarla.
account_kept =
    .subject = Su cuenta se conserva
    .lead = No se borrará. Puede usarla como antes.
data_exported =
    .subject = Se han descargado los datos que tenemos de usted
    .lead = Si no fue usted, cambie su contraseña de inmediato: quien lo hizo había entrado en su nombre.
second_factor_added =
    .subject = Entrar requiere ahora un segundo paso
    .lead = Se ha añadido un segundo factor a su cuenta. Si no ha sido usted, escriba enseguida a nuestro equipo.
second_factor_guessed =
    .subject = Alguien prueba códigos para su cuenta
    .lead = Se han probado diez códigos seguidos como segundo factor de su cuenta, por alguien que tiene su contraseña. Si no ha sido usted, cambie ahora su contraseña.
second_factor_removed =
    .subject = Entrar ya no requiere un segundo paso
    .lead = Se ha quitado el segundo factor de su cuenta. Si no ha sido usted, escriba enseguida a nuestro equipo.
